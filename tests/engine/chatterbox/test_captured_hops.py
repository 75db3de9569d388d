"""Hops in graphs of fixed size: what they make equals what the estimator makes kernel by kernel."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.single_take import run_passes
from monica.engine.chatterbox import captured_hops, captured_sounds, streaming_cache
from monica.engine.chatterbox.captured_hops import CapturedHops, HopState
from monica.engine.chatterbox.euler import EulerSolver, SolverCache
from monica.engine.chatterbox.s3gen import Token2Wav
from monica.engine.chatterbox.streaming import StreamingToken2Wav
from monica.engine.chatterbox.watermark import Watermark

from .tape import TapeGraphs
from .test_hift import seeded

SIZES = ((6, 10, 3, 10, 9), (10, 2, 10, 7))
"""Frames of the hops of two takes: together more than the ring has slots."""
PROMPTS = (12, 7)


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monica.engine.chatterbox.euler.EULER_STEPS", 2)
        patch.setattr(captured_hops, "HOPS", (6, 10))
        patch.setattr(captured_hops, "PROMPT_FRAMES", 16)
        patch.setattr(streaming_cache, "REACH", 9)
        yield


@pytest.fixture(scope="module")
def graphs() -> TapeGraphs:
    return TapeGraphs()


@pytest.fixture(scope="module")
def hops(token2wav: Token2Wav, graphs: TapeGraphs, small: None) -> CapturedHops:
    return CapturedHops(token2wav.solver, graphs)


def inputs(frames: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    noise, mu = (torch.randn(1, frames, 80, generator=generator) for _ in range(2))
    return noise, mu


SPEAKERS = [torch.randn(1, 80, generator=torch.Generator().manual_seed(seed)) for seed in (90, 91)]


@torch.inference_mode()
def prompt_of(solver: EulerSolver, number: int) -> SolverCache:
    cache = solver.start_cache()
    noise, mu = inputs(PROMPTS[number], 70 + number)
    mel = torch.randn(1, PROMPTS[number], 80, generator=seeded())
    run_passes(solver.solve_chunk(noise, mu, SPEAKERS[number], mel, cache))
    return cache


@torch.inference_mode()
def eager(solver: EulerSolver, number: int) -> list[Tensor]:
    """Make a take kernel by kernel."""
    cache = solver.start_cache(prompt_of(solver, number))
    made = []
    for index, frames in enumerate(SIZES[number]):
        noise, mu = inputs(frames, 10 * number + index)
        made.append(run_passes(solver.solve_chunk(noise, mu, SPEAKERS[number], torch.zeros_like(mu), cache)))
    return made


def solve(hops: CapturedHops, state: HopState, number: int, index: int) -> Tensor:
    noise, mu = inputs(SIZES[number][index], 10 * number + index)
    with torch.inference_mode():
        return hops.solve(noise, mu, state)


def test_two_takes_in_turn_equal_each_one_made_kernel_by_kernel(hops: CapturedHops, graphs: TapeGraphs) -> None:
    """With prompts of different lengths, around the ring, in hops that fill their graph and hops that do not."""
    assert graphs.names == ["a hop of 10 frames", "a hop of 6 frames"]
    replays, place = len(graphs.replayed), hops.kv.data_ptr()
    expected = [eager(hops.solver, number) for number in (0, 1)]
    with torch.inference_mode():
        prompts = [hops.flatten(prompt_of(hops.solver, number), SPEAKERS[number]) for number in (0, 1)]
    states = [hops.start(prompt) for prompt in prompts]
    order = [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (1, 2), (1, 3), (0, 3), (0, 4)]
    for number, index in order:
        made = solve(hops, states[number], number, index)
        torch.testing.assert_close(made, expected[number][index], atol=1e-5, rtol=0)
    assert len(graphs.replayed) - replays == len(order)
    assert sum(SIZES[0]) > hops.ring
    assert hops.kv.data_ptr() == place


def test_values_not_finite_stay_within_their_take(hops: CapturedHops) -> None:
    expected = eager(hops.solver, 1)
    with torch.inference_mode():
        prompt = hops.flatten(prompt_of(hops.solver, 1), SPEAKERS[1])
        broken = hops.start(prompt)
        noise, mu = inputs(10, 3)
        assert hops.solve(noise * torch.nan, mu, broken).isnan().any()
    state = hops.start(prompt)
    for index in range(2):
        torch.testing.assert_close(solve(hops, state, 1, index), expected[index], atol=1e-5, rtol=0)


def test_a_take_that_is_gone_is_not_copied(hops: CapturedHops) -> None:
    with torch.inference_mode():
        prompt = hops.flatten(prompt_of(hops.solver, 0), SPEAKERS[0])
    first, second = hops.start(prompt), hops.start(prompt)
    solve(hops, first, 0, 0)
    solve(hops, second, 0, 0)
    assert first.saved is not None
    del second
    gc.collect()
    solve(hops, first, 0, 1)
    assert first.saved is None


def test_without_memory_for_the_cache_streams_run_kernel_by_kernel(
    token2wav: Token2Wav, small: None, caplog: pytest.LogCaptureFixture
) -> None:
    poor = TapeGraphs()
    poor.budget = 1000
    streaming = StreamingToken2Wav(token2wav, Watermark())
    streaming.warm_up(poor)
    assert streaming.hops is None
    assert "no memory for captured hops" in caplog.text
    assert poor.names == []


def test_a_stream_of_captured_hops_equals_an_eager_one(
    token2wav: Token2Wav, voice: Any, two_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured_hops, "HOPS", (64,))
    monkeypatch.setattr("monica.engine.chatterbox.streaming.HOPS", (64,))
    monkeypatch.setattr(captured_hops, "PROMPT_FRAMES", 24)
    monkeypatch.setattr(captured_sounds, "SIZES", (58, 80))
    tokens = [(7 * i) % 6561 for i in range(1, 44)]
    graphs, made = TapeGraphs(), []
    for captured in (False, True):
        streaming = StreamingToken2Wav(token2wav, Watermark())
        if captured:
            streaming.warm_up(graphs)
        stream = streaming.start_stream(voice, seeded())
        made.append([run_passes(stream.synthesize_hop(tokens[:end], last=end == 43)) for end in (32, 43)])
    assert graphs.replayed == [
        "a hop of 64 frames", "the sound of a hop of 58 frames",
        "a hop of 64 frames", "the sound of a hop of 80 frames",
    ]  # fmt: skip
    for ours, expected in zip(*made, strict=True):
        torch.testing.assert_close(torch.from_numpy(expected), torch.from_numpy(ours), atol=1e-4, rtol=0)
