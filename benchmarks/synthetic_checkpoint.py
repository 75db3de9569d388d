"""Write a Chatterbox checkpoint of random weights: every file in upstream's format and of full size, without meaning.

    python -m benchmarks.synthetic_checkpoint DIR [--t3-layers N] [--t3 v2|v3] [--seed S] [--eos-bias B] [--meanflow]

It speaks finite, audible, voiced noise. So everything except how it sounds can be tried without the real weights.
The same seed writes the same tensors.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import re
import string
import time
from pathlib import Path
from typing import Any

import torch
from librosa.filters import mel as mel_filters
from safetensors.torch import save_file
from torch import Tensor, nn

from monica.config import LANGUAGES
from monica.engine.chatterbox.checkpoint import MEANFLOW_FILE, file_names
from monica.engine.chatterbox.sampling import BOS, EOS, SPEECH_TOKENS
from monica.engine.chatterbox.weights import build_s3gen, build_t3, build_voice_encoder

CARRIER = 8.0
"""Dimension 0 of T3's residual stream at every speech position. It makes column 0 of the head a bias."""
SILENCED = -8.0
"""That bias for ids without a sound. It makes them as unlikely as training makes them in the real model."""
EOS_BIAS = 0.0
END_SLOPE = 60.0
"""How much the logit of end of speech grows from the beginning to the end of a take of a given length."""
F0_HZ = 150.0
LOG_MAGNITUDE = -0.5
"""The log magnitude of HiFT's spectrum: gives peaks at about a fifth of full scale."""

# Standard deviations, for the weights whose activations should not stay at one, which 1 / sqrt(fan in) would achieve.
T3_SCALES = {
    r"text_emb|speech_emb": 1.0,
    r"pos_emb": 0.1,
    r"speech_head": 2.0 / 32,
    r"o_proj": 1.0 / 32,
    r"down_proj": 0.3 / 64,
    r"pre_attention_query": 1.0,
}
S3GEN_SCALES = {
    r"classifier\.weight": 0.01,
    r"final_proj\.weight": 0.5 / 16,
    r"conv_post.*original1": 0.01,
    r"input_embedding": 1.0,
    r"pos_bias": 0.1,
}


def write_checkpoint(
    directory: Path,
    *,
    t3_layers: int = 30,
    seed: int = 0,
    t3: str = "v3",
    prompt_s: float = 10.0,
    eos_bias: float = EOS_BIAS,
    tokens: int | None = None,
    meanflow: bool = False,
) -> None:
    """Write the five files into `directory`, and with `meanflow` the MeanFlow decoder beside them.

    prompt_s: length of the built-in voice's prompt, 10 at most.
    eos_bias: how soon takes end. At 0.0 hardly any ends by itself; at 0.6 with 2 layers, or 3.2 with 30, most end
    within two seconds.
    tokens: approximate length of takes; None leaves it to chance.
    """
    directory.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    ve_pt, t3_safetensors, s3gen_pt, tokenizer_json, conds_pt = (directory / name for name in file_names(t3))
    torch.save(voice_encoder_state(generator), ve_pt)
    torch.save(builtin_voice(generator, prompt_s), conds_pt)
    s3gen = s3gen_state(generator)
    torch.save(s3gen, s3gen_pt)
    if meanflow:
        save_file(meanflow_state(s3gen, seed), directory / MEANFLOW_FILE)
    t3_weights = t3_state(t3_layers, generator, eos_bias)
    if tokens is not None:
        _end_after(t3_weights, tokens)
    save_file(t3_weights, t3_safetensors)
    tokenizer_json.write_text(json.dumps(tokenizer()), encoding="utf-8")


def t3_state(layers: int, generator: torch.Generator, eos_bias: float = EOS_BIAS) -> dict[str, Tensor]:
    state = _random_state(build_t3(layers), T3_SCALES, generator)
    for name, tensor in state.items():
        if name in ("text_emb.weight", "speech_emb.weight"):
            tensor[:, 0] = CARRIER
        elif "pos_emb" in name:
            tensor[:, 0] = 0
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            tensor[0] = 0
    bias = state["speech_head.weight"][:, 0]
    bias[:] = 0
    bias[SPEECH_TOKENS:] = SILENCED
    bias[BOS], bias[EOS] = SILENCED, eos_bias
    return state


def _end_after(state: dict[str, Tensor], tokens: int) -> None:
    """Make end of speech ever likelier: dimension 1 of the residual stream holds how far a take has got."""
    for name, tensor in state.items():
        if name in ("text_emb.weight", "speech_emb.weight") or "pos_emb" in name:
            tensor[:, 1] = 0
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            tensor[1] = 0
    position = state["speech_pos_emb.emb.weight"]
    position[:, 1] = (torch.arange(len(position)) / tokens - 0.7).clamp(-1, 1)  # speech ends before its logit leads
    state["speech_head.weight"][:, 1] = 0
    state["speech_head.weight"][EOS, 1] = END_SLOPE


def s3gen_state(generator: torch.Generator) -> dict[str, Tensor]:
    state = _random_state(build_s3gen(), S3GEN_SCALES, generator)
    state["mel2wav.f0_predictor.classifier.bias"].fill_(F0_HZ)
    state["mel2wav.conv_post.bias"][:9] = LOG_MAGNITUDE
    # These two are not weights but the front end of the speech tokenizer; the file contains them all the same.
    state["tokenizer._mel_filters"] = torch.from_numpy(mel_filters(sr=16_000, n_fft=400, n_mels=128))
    state["tokenizer.window"] = torch.hann_window(400)
    return state


def meanflow_state(s3gen: dict[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """Make a MeanFlow S3Gen of a standard one: its weights, and a mixer for the two ends of a time step."""
    missing = {name: like for name, like in build_s3gen(meanflow=True).state_dict().items() if name not in s3gen}
    generator = torch.Generator().manual_seed(seed)
    return s3gen | {name: _random_tensor(name, like, None, generator) for name, like in missing.items()}


def voice_encoder_state(generator: torch.Generator) -> dict[str, Tensor]:
    state = _random_state(build_voice_encoder(), {}, generator)
    state["proj.bias"].fill_(0.1)  # a ReLU follows, and a norm that must not be zero
    state["similarity_weight"], state["similarity_bias"] = torch.tensor([10.0]), torch.tensor([-5.0])
    return state


def builtin_voice(generator: torch.Generator, prompt_s: float) -> dict[str, dict[str, Any]]:
    """Make the contents of conds.pt: T3Cond's fields and S3Gen's reference."""
    tokens = round(25 * prompt_s)

    def ids(count: int) -> Tensor:
        return torch.randint(SPEECH_TOKENS, (1, count), generator=generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        "t3": {
            "speaker_emb": nn.functional.normalize(normal(1, 256).abs()),
            "clap_emb": None,
            "cond_prompt_speech_tokens": ids(150),
            "cond_prompt_speech_emb": None,
            "emotion_adv": torch.full((1, 1, 1), 0.5),
        },
        "gen": {
            "prompt_token": ids(tokens),
            "prompt_token_len": torch.tensor([tokens]),
            "prompt_feat": normal(1, 2 * tokens, 80) - 5,
            "prompt_feat_len": None,
            "embedding": normal(1, 192),
        },
    }


def tokenizer() -> dict[str, Any]:
    """Make a `tokenizers` file: only graphemes, NFKD's combining accents included, and no merges."""
    special = {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2, "[START]": 255}
    combining = "".join(map(chr, range(0x300, 0x370)))
    graphemes = string.ascii_lowercase + string.digits + string.punctuation + "œæßøđłı«»¿¡°€" + combining
    words = [f"[{language}]" for language in LANGUAGES] + ["[PAD]", "[SEP]", "[CLS]", "[MASK]"]
    free = (number for number in range(3, 2454) if number != special["[START]"])
    special |= {word: next(free) for word in words}
    vocab = special | {grapheme: next(free) for grapheme in graphemes}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": word,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for word, number in sorted(special.items(), key=lambda item: item[1])
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "[UNK]",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": [],
        },
    }


def _random_state(module: nn.Module, scales: dict[str, float], generator: torch.Generator) -> dict[str, Tensor]:
    """Make random tensors for a module on the meta device, scaled by what their names and shapes indicate."""
    state: dict[str, Tensor] = {}
    for name, shape in module.state_dict().items():
        scale = next((scale for pattern, scale in scales.items() if re.search(pattern, name)), None)
        state[name] = _random_tensor(name, shape, scale, generator)
    for name, direction in state.items():
        if name.endswith("original1"):  # weight norm: the length of each direction, so that it stays as drawn
            length = direction.flatten(1).norm(dim=1).view(-1, *[1] * (direction.dim() - 1))
            state[name.removesuffix("1") + "0"] = length
    return state


def _random_tensor(name: str, like: Tensor, scale: float | None, generator: torch.Generator) -> Tensor:
    tensor = torch.empty(like.shape, dtype=like.dtype)
    last = name.rpartition(".")[2]
    if not like.is_floating_point() or last == "running_mean" or last.startswith("bias"):
        return tensor.zero_()
    if last in ("running_var", "alpha") or (like.dim() < 2 and scale is None):  # scales of norms, Snake's frequency
        return tensor.fill_(1)
    fan_in = math.prod(like.shape[1:])
    return tensor.normal_(0, scale or fan_in**-0.5, generator=generator)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--t3-layers", type=int, default=30)
    parser.add_argument("--t3", choices=["v2", "v3"], default="v3")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--eos-bias", type=float, default=EOS_BIAS, help="for takes of a second or two: 0.6 with 2 layers, 3.2 with 30"
    )
    parser.add_argument("--meanflow", action="store_true", help="write the MeanFlow decoder, too: another gigabyte")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    began = time.perf_counter()
    write_checkpoint(
        arguments.directory,
        t3_layers=arguments.t3_layers,
        seed=arguments.seed,
        t3=arguments.t3,
        eos_bias=arguments.eos_bias,
        meanflow=arguments.meanflow,
    )
    logging.getLogger(__name__).info(
        "%s: %d T3 layers, %.1f s", arguments.directory, arguments.t3_layers, time.perf_counter() - began
    )


if __name__ == "__main__":
    main()
