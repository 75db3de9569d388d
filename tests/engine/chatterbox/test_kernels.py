"""How many kernels S3Gen launches on CUDA, counted without a GPU. The numbers may fall, never rise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch

from benchmarks.rehearsal import CUDA, Rehearsal
from benchmarks.rehearsal.operation import Operation
from benchmarks.single_take import run_passes
from monica.engine.chatterbox import weights
from monica.engine.chatterbox.streaming import FIRST_HOP, StreamingToken2Wav
from monica.engine.chatterbox.watermark import Watermark

EULER_STEP, MIDDLE_BLOCK = 219, 49
"""Of an Euler step with two of the twelve middle blocks, and of each further block."""
VOCODER = 269
"""Of a take of four seconds, with its pitch and its source: two tiles side by side."""
HOP = 19
"""Launches of a hop, all of it: its mel, its sound and its watermark."""


class Counted:
    """What the parts of S3Gen launch, and three hops of a stream.

    With two middle blocks, two Euler steps and few graphs: a hop's steps are one graph, however many there are.
    """

    def __init__(self, rehearsal: Rehearsal) -> None:
        token2wav = rehearsal.load_token2wav()
        streaming = StreamingToken2Wav(token2wav, Watermark(CUDA))
        graphs = token2wav.solver._graphs
        assert graphs is not None
        streaming.warm_up(graphs)
        stream = streaming.start_stream(rehearsal.voice(), rehearsal.generator())
        self.hops = []
        for tokens in (FIRST_HOP, 2 * FIRST_HOP, 3 * FIRST_HOP):
            rehearsal.device.replays.clear()
            passes = stream.synthesize_hop(list(range(tokens)), last=False)
            operations = rehearsal.record(partial(run_passes, passes))
            self.hops.append((operations, list(rehearsal.device.replays)))
        mel = torch.zeros(1, 80, 200, device=CUDA)
        with torch.inference_mode():
            self.take = rehearsal.record(lambda: token2wav.hift(mel, rehearsal.generator()))
        self.graphs = rehearsal.graphs


@pytest.fixture(scope="module")
def counted() -> Iterator[Counted]:
    build = weights.build_s3gen

    def build_shallow(**options: bool) -> Any:
        module = build(**options)
        module.flow.decoder.estimator.mid_blocks = module.flow.decoder.estimator.mid_blocks[:2]
        return module

    with pytest.MonkeyPatch.context() as patch, Rehearsal() as rehearsal:
        patch.setattr(weights, "build_s3gen", build_shallow)
        patch.setattr("monica.engine.chatterbox.euler.EULER_STEPS", 2)
        patch.setattr("monica.engine.chatterbox.euler.BUCKETS", range(128, 129))
        patch.setattr("monica.engine.chatterbox.token_encoder.BUCKETS", range(384, 385))
        patch.setattr("monica.engine.chatterbox.hift.TILES", (128,))
        patch.setattr("monica.engine.chatterbox.captured_sounds.SIZES", (58, 120))
        patch.setattr("monica.engine.chatterbox.captured_hops.HOPS", (64,))
        yield Counted(rehearsal)


def launches(operations: list[Operation]) -> int:
    return sum(operation.launches for operation in operations)


def test_an_euler_step(counted: Counted) -> None:
    assert launches(counted.graphs["an Euler step of 128 frames"]) <= EULER_STEP
    assert EULER_STEP + 10 * MIDDLE_BLOCK <= 750


def test_the_vocoder(counted: Counted) -> None:
    assert launches(counted.take) <= VOCODER
    assert {each.graph for each in counted.take} >= {
        "the pitch of 2 times 128 frames", "the sound of 2 times 128 frames",
    }  # fmt: skip


def test_a_hop(counted: Counted) -> None:
    """The first hop also has the prompt of the voice computed."""
    for number, frames in ((1, 120), (2, 120)):
        operations, replays = counted.hops[number]
        outside = [operation for operation in operations if operation.graph is None]
        assert replays == ["the encoder of 384 tokens", "a hop of 64 frames", f"the sound of a hop of {frames} frames"]
        assert launches(outside) + len(replays) <= HOP
        # The host waits only for the samples. What it sends does not wait.
        assert [operation.wait for operation in outside if operation.wait] == ["read"]


def test_what_is_captured_neither_waits_nor_reads_the_host(counted: Counted) -> None:
    assert {name.rpartition(" of ")[0] for name in counted.graphs} == {
        "an Euler step", "the encoder", "the pitch", "the sound", "a hop", "the sound of a hop",
    }  # fmt: skip
    for name, operations in counted.graphs.items():
        wrong = [each for each in operations if each.wait or each.mixed or each.copies_between_devices]
        assert [(name, each.name, each.where) for each in wrong] == []
