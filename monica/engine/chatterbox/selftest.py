"""The self-test at start-up: a few steps of T3 as it will run, against the same weights in plain float32.

Builds of PyTorch for new GPUs have computed wrong numbers without an error. Such a machine must not go into service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.chatterbox.llama import Layer, Llama
from monica.engine.chatterbox.sampling import BOS, SPEECH_TOKENS
from monica.engine.chatterbox.t3 import T3
from monica.errors import ConfigError

TEXT_TOKENS = (255, 12, 77, 301, 45, 0)
TOKENS = (BOS, 4299, 17, 3210)
MIN_AGREEMENT = {"fp32": 0.999, "bf16": 0.99, "int8": 0.9}
"""The least agreement that passes, by precision. Random weights of full size reach 1.0000, 0.9999 and 0.998; with a
layer missing, 0.98."""

REMEDY = "Try MONICA_PRECISION=fp32, another PyTorch or driver, or MONICA_DEVICE=cpu."


@torch.inference_mode()
def float32_outputs(front: Any, layers: Sequence[Mapping[str, Tensor]], sequences: Sequence[Tensor]) -> list[Tensor]:
    """Run the transformer over whole sequences in plain float32. sequences: (2, T, 1024) each. Returns their outputs.

    A layer at a time, for all sequences: its float32 weights are on the device only for so long.
    """
    llama = Llama(front.cfg, front.tfmr.norm.weight, torch.float32)
    outputs = [sequence.clone() for sequence in sequences]
    for state in layers:
        layer = Layer.fuse(state, "fp32", llama.device)
        outputs = [llama.forward_layer(layer, output) for output in outputs]
    return [front.tfmr.norm(output) for output in outputs]


def teacher_forced_sequence(front: Any) -> Tensor:
    """Return what `teacher_forced_logits` feeds in `measure_agreement`, (2, T, 1024)."""
    return torch.cat([_prompt(front)[:, :-1], _embed(front, _tokens(front)).expand(2, -1, -1)], dim=1)


@torch.inference_mode()
def logits_of(front: Any, output: Tensor) -> Tensor:
    """Return the logits after each of TOKENS, (N, 2, V). output: of `teacher_forced_sequence`."""
    logits: Tensor = front.speech_head(output[:, -len(TOKENS) :])
    return logits.transpose(0, 1)


def expected_logits(front: Any, layers: Sequence[Mapping[str, Tensor]]) -> Tensor:
    """Compute what `teacher_forced_logits` should return. Returns (N, 2, V)."""
    (output,) = float32_outputs(front, layers, [teacher_forced_sequence(front)])
    return logits_of(front, output)


def measure_agreement(t3: T3, expected: Tensor) -> float:
    """Return the cosine of the speech tokens' logits, with their mean removed, at the worst step and row."""
    logits = t3.teacher_forced_logits(_prompt(t3.front), _tokens(t3.front))
    return agreement(logits, expected)


def agreement(logits: Tensor, expected: Tensor) -> float:
    """Return the cosine of the speech tokens' logits, with their mean removed, in the worst row. Both: (..., V)."""
    speech = (each[..., :SPEECH_TOKENS] for each in (logits, expected))
    found, wanted = (each - each.mean(dim=-1, keepdim=True) for each in speech)
    return float(F.cosine_similarity(found, wanted, dim=-1).min())


def check_agreement(t3: T3, expected: Tensor) -> float:
    """Return the agreement. Raises ConfigError if it is too low for the numbers to be right."""
    found = measure_agreement(t3, expected)
    if not found >= MIN_AGREEMENT[t3.precision]:  # NaN too
        raise ConfigError(
            f"T3 computes wrong numbers on {t3.device.type} in {t3.precision}: they agree with float32 to {found:.3f}. "
            + REMEDY
        )
    return found


def _prompt(front: Any) -> Tensor:
    text = front.text_emb.weight[list(TEXT_TOKENS)]  # (S, 1024)
    prompt = torch.stack([text, torch.zeros_like(text)]) + front.text_pos_emb.emb.weight[: len(TEXT_TOKENS)]
    bos = _embed(front, _tokens(front)[:1])
    return torch.cat([prompt, bos.expand(2, -1, -1)], dim=1)  # (2, P, 1024)


def _embed(front: Any, tokens: Tensor) -> Tensor:
    embeds: Tensor = front.speech_emb.weight[tokens] + front.speech_pos_emb.emb.weight[: len(tokens)]
    return embeds


def _tokens(front: Any) -> Tensor:
    return torch.tensor(TOKENS, device=front.speech_head.weight.device)
