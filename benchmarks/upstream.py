"""Upstream's engine as its users run it, timed at fixed token counts. Monica's engine is measured against it.

It is Chatterbox 0.1.7, unchanged, with its alignment analyzer, which upstream runs for every language.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

TEXT = "Rusmir vient d'éliminer Pablo avec une paire d'as, et il ne reste plus que neuf joueurs à la table finale."
LANGUAGE = "fr"
SPEECH_IDS = 6561
"""Number of ids that are sounds; they come first."""


def elapsed(device: str, function: Callable[[], object]) -> float:
    """Run a function, and wait until the device has finished its work. Returns seconds."""
    _settle(device)
    began = time.perf_counter()
    function()
    _settle(device)
    return time.perf_counter() - began


def load(directory: Path, device: str) -> Any:
    """Load upstream. directory: a checkpoint with T3 v2, the only name upstream knows."""
    import chatterbox.models.t3.t3 as t3
    from chatterbox.mtl_tts import ChatterboxMultilingualTTS

    # Otherwise the progress bar and the analyzer's log lines (one or two a token with random weights) would be timed.
    t3.tqdm = lambda steps, **_: steps
    logging.getLogger("chatterbox").setLevel(logging.ERROR)
    with (
        patch("chatterbox.models.tokenizers.tokenizer.hf_hub_download", side_effect=OSError("no network")),
        contextlib.redirect_stdout(sys.stderr),
    ):
        tts = ChatterboxMultilingualTTS.from_local(directory, device)
    # On random weights the analyzer soon forces the end of speech. With the id -1 it forces the last id instead, in
    # the same way, and the loop does not recognize that as the end: the same work, for as many tokens as requested.
    tts.t3.hp.stop_speech_token = -1
    return tts


def decode(tts: Any, tokens: int) -> float:
    """Time T3 on one French sentence, with the parameters of upstream's generate. Returns seconds."""
    text_tokens = _text_tokens(tts)
    return elapsed(tts.device, lambda: _infer(tts, text_tokens, tokens))


def decode_fresh(tts: Any, tokens: int) -> float:
    """Time T3 as `decode` does, in the state it has before its first request."""
    for module in tts.t3.modules():
        for key, hook in list(module._forward_hooks.items()):
            if hook.__module__.endswith("alignment_stream_analyzer"):
                del module._forward_hooks[key]
    return decode(tts, tokens)


def vocode(tts: Any, tokens: int) -> float:
    """Time S3Gen on random ids, in the checkpoint's own voice. Returns seconds."""
    ids = torch.randint(SPEECH_IDS, (tokens,), generator=torch.Generator().manual_seed(0)).to(tts.device)
    voice = dict(tts.conds.gen)  # a copy: upstream changes its argument
    return elapsed(tts.device, lambda: tts.s3gen.inference(speech_tokens=ids, ref_dict=voice))


def watermark(tts: Any, seconds_of_audio: float) -> float:
    """Time the watermark, on the CPU, where upstream runs it. Returns seconds."""
    noise = np.random.default_rng(0).standard_normal(int(seconds_of_audio * tts.sr))
    samples = (0.1 * noise).astype(np.float32)
    return elapsed(tts.device, lambda: tts.watermarker.apply_watermark(samples, sample_rate=tts.sr))


def age(tts: Any, requests: int) -> None:
    """Run requests through T3: each one hooks a new analyzer to three layers, and none is ever removed."""
    for _ in range(requests):
        _infer(tts, _text_tokens(tts), 2)


def _settle(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _text_tokens(tts: Any) -> torch.Tensor:
    """Return the sentence as upstream's generate passes it to T3: twice, for guidance. (2, N)."""
    from chatterbox.mtl_tts import punc_norm

    tokens = tts.tokenizer.text_to_tokens(punc_norm(TEXT), language_id=LANGUAGE).to(tts.device)
    framed = torch.nn.functional.pad(tokens, (1, 0), value=tts.t3.hp.start_text_token)
    framed = torch.nn.functional.pad(framed, (0, 1), value=tts.t3.hp.stop_text_token)
    return torch.cat([framed, framed])


def _infer(tts: Any, text_tokens: torch.Tensor, tokens: int) -> None:
    made = tts.t3.inference(
        t3_cond=tts.conds.t3,
        text_tokens=text_tokens,
        max_new_tokens=tokens,
        temperature=0.8,
        cfg_weight=0.5,
        repetition_penalty=2.0,
        min_p=0.05,
        top_p=1.0,
    )
    assert made.shape == (1, tokens), made.shape
