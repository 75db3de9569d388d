"""What libraries plan for each new length on CUDA: convolutions by cuDNN, transforms by cuFFT."""

from __future__ import annotations

import torch

from benchmarks.rehearsal.operation import Operand, Operation

from .conftest import Performance

TAKES = 50
TOKENS = range(16, 16 + TAKES)
"""Lengths of the takes. Those below 0.64 s are shorter than a tile, and there are fifteen of them."""
CONVOLUTIONS = 320
"""Upper bound on the plans of cuDNN for the vocoder, of two tiles here, alone and in pairs. Without tiles, each length
needed 37."""


def plans(operations: list[Operation], name: str) -> set[tuple[Operand, ...]]:
    """Return the different sets of operands that operations of a name were given."""
    return {
        tuple(Operand(each.shape, each.stride, 0, each.dtype, each.device) for each in operation.inputs)
        for operation in operations
        if operation.name.startswith(name)
    }


def test_plans_do_not_grow_with_the_lengths_of_takes(performance: Performance) -> None:
    """The vocoder runs at a few lengths, and the watermark is products."""
    model, rehearsal = performance.model, performance.rehearsal
    lengths = [torch.empty(1, 80, 2 * tokens, device=model.device) for tokens in TOKENS]
    hift = model.token2wav.hift

    def vocode() -> None:
        with torch.inference_mode():
            for mel in lengths:
                hift(mel, rehearsal.generator())

    def mark() -> None:
        for tokens in TOKENS[:4]:
            model.watermark.apply(torch.empty(960 * tokens, device=model.device))

    sounds, marks = rehearsal.record(vocode), rehearsal.record(mark)
    assert plans(sounds, "_fft") == set()
    assert len(plans(sounds, "convolution")) <= CONVOLUTIONS
    assert plans(marks, "convolution") == plans(marks, "_fft") == set()
