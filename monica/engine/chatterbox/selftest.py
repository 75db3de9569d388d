"""The self-test at start: a few steps of T3 as it will run, against the same weights in plain float32.

Builds of PyTorch for new GPUs have computed wrong numbers without an error; such a machine must not go on air.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.chatterbox.llama import Layer, Llama
from monica.engine.chatterbox.sampling import BOS
from monica.engine.chatterbox.sampling import SPEECH_TOKENS as SOUNDS
from monica.engine.chatterbox.t3 import T3
from monica.errors import ConfigError

TEXT_TOKENS = (255, 12, 77, 301, 45, 0)
TOKENS = (BOS, 4299, 17, 3210)
AGREEMENT = {"fp32": 0.999, "bf16": 0.99, "int8": 0.9}
"""The least that counts as right. Random weights of full size reach 1.0000, 0.9999 and 0.998; a lost layer, 0.98."""


@torch.inference_mode()
def expect(front: Any, layers: Sequence[Mapping[str, Tensor]]) -> Tensor:
    """Compute, layer by layer and whole rows at once, the logits that `follow` should come to. Returns (N, 2, V)."""
    llama = Llama(front.cfg, front.tfmr.norm.weight, torch.float32)
    x = torch.cat([_prompt(front)[:, :-1], _embed(front, _tokens(front)).expand(2, -1, -1)], dim=1)
    for state in layers:
        x = llama.pass_through(Layer.fuse(state, "fp32", llama.device), x)
    hidden = front.tfmr.norm(x[:, -len(TOKENS) :])  # (2, N, 1024)
    logits: Tensor = front.speech_head(hidden)
    return logits.transpose(0, 1)


def agreement(t3: T3, expected: Tensor) -> float:
    """Return how alike the logits of the sounds are, their mean taken out: the cosine, at the worst step and row."""
    logits = t3.follow(_prompt(t3.front), _tokens(t3.front))
    found, wanted = (each[..., :SOUNDS] - each[..., :SOUNDS].mean(dim=-1, keepdim=True) for each in (logits, expected))
    return float(F.cosine_similarity(found, wanted, dim=-1).min())


def examine(t3: T3, expected: Tensor) -> float:
    """Return the agreement. Raises ConfigError where it is too small for the numbers to be right."""
    found = agreement(t3, expected)
    if not found >= AGREEMENT[t3.precision]:  # NaN too
        raise ConfigError(
            f"T3 computes wrong numbers on {t3.device.type} in {t3.precision}: they agree with float32 to {found:.3f}. "
            "Try MONICA_PRECISION=fp32, another PyTorch or driver, or MONICA_DEVICE=cpu."
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
