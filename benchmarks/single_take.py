"""One take through T3 or S3Gen from beginning to end, for benchmarks and tests. The server works step by step."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from monica.engine import SynthesisParams

if TYPE_CHECKING:
    from monica.engine.chatterbox.conditionals import Conditionals
    from monica.engine.chatterbox.s3gen import Token2Wav
    from monica.engine.chatterbox.t3 import T3

Result = TypeVar("Result")


def generate_tokens(
    t3: T3, text_tokens: Tensor, voice: Conditionals, params: SynthesisParams, generator: torch.Generator
) -> Tensor:
    """Run T3 on one take. text_tokens: (S,) int64.

    Returns (N,) int64 at 25 tokens a second, N <= params.max_tokens; N is 0 if there is nothing to hear.
    Raises InvalidText or SynthesisFailed.
    """
    sequence = t3.add_sequence(text_tokens, voice, params, generator)
    try:
        while not sequence.done:
            t3.step()
    finally:
        t3.free_sequence(sequence)
    return torch.tensor(sequence.completion_tokens(), dtype=torch.int64, device=t3.device)


def synthesize_tokens(
    token2wav: Token2Wav, tokens: Tensor, voice: Conditionals, *, generator: torch.Generator
) -> Tensor:
    """Run S3Gen on one take. tokens: (N,) int64. Returns (960 N,) at 24 kHz."""
    return run_passes(token2wav.synthesize(tokens, voice, generator=generator))


def run_passes(synthesis: Generator[None, None, Result]) -> Result:
    """Run all passes that are left of a synthesis. Returns what it makes."""
    while True:
        try:
            next(synthesis)
        except StopIteration as finished:
            result: Result = finished.value
            return result
