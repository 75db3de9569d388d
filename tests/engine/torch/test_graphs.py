"""Captures on stand-ins for torch.cuda: which ones there are, what they may take, what happens if one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from benchmarks.rehearsal import CUDA, Rehearsal
from monica.engine.torch import graphs as graphs_module
from monica.engine.torch.graphs import Graphs
from monica.errors import ConfigError, ModelUnavailable

BUDGET = 1000


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    with Rehearsal() as rehearsal:
        yield rehearsal


@pytest.fixture
def graphs(rehearsal: Rehearsal) -> Graphs:
    return Graphs(CUDA, BUDGET)


def nothing() -> None:
    pass


def failing(number: int, error: Exception) -> Callable[[int], Exception | None]:
    return lambda count: error if count == number else None


def test_a_captured_function_runs_on_one_stream_that_waits_for_the_others(
    graphs: Graphs, rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs_module, "WARM_UP_RUNS", 2)
    streams: list[object] = []
    graphs.capture("a", lambda: streams.append(rehearsal.device.current))
    graphs.capture("b", lambda: streams.append(rehearsal.device.current))
    (side,) = set(streams)
    assert len(streams) == 2 * (2 + 1)
    assert side is not rehearsal.device.default
    assert rehearsal.device.current is rehearsal.device.default
    assert getattr(side, "waited_for") == [rehearsal.device.default] * 2  # noqa: B009
    assert rehearsal.device.default.waited_for == [side] * 2


@pytest.mark.parametrize("number", [0, 6, 35])
def test_a_capture_that_fails_restores_the_stream_and_tells_its_cause(
    graphs: Graphs, rehearsal: Rehearsal, number: int
) -> None:
    """The first, the seventh or the last of 36: ending it raises an error of its own, as CUDA's does."""
    rehearsal.device.fail_capture = failing(
        number, torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture\nAdvice.")
    )

    def broken() -> None:
        raise RuntimeError("kernels of this kind cannot be captured.")

    for name in range(number):
        graphs.capture(str(name), nothing)
    with pytest.raises(ConfigError) as caught:
        graphs.capture("a step", broken)
    assert str(caught.value) == (
        "The CUDA graph of a step cannot be captured: kernels of this kind cannot be captured. "
        "Try another PyTorch or driver, MONICA_PRECISION=fp32, or MONICA_DEVICE=cpu."
    )
    assert rehearsal.device.current is rehearsal.device.default
    assert not graphs.available
    assert graphs.captured == number
    assert graphs.capture("another", nothing) is nothing


def test_a_capture_that_only_fails_at_its_end_is_told_without_cudas_advice(
    graphs: Graphs, rehearsal: Rehearsal
) -> None:
    error = torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture\nAdvice.")
    rehearsal.device.fail_capture = failing(0, error)
    with pytest.raises(ConfigError, match=r"a step cannot be captured: CUDA error: operation failed .* capture\. Try"):
        graphs.capture("a step", nothing)
    assert rehearsal.device.current is rehearsal.device.default


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        torch.AcceleratorError("CUDA error: out of memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_in_a_capture_may_be_tried_again(graphs: Graphs, rehearsal: Rehearsal, error: Exception) -> None:
    def hungry() -> None:
        raise error

    with pytest.raises(ModelUnavailable, match=r"not enough memory for the CUDA graph of a step: "):
        graphs.capture("a step", hungry)
    assert rehearsal.device.current is rehearsal.device.default
    assert Graphs(CUDA, BUDGET).capture("a step", nothing) is not nothing


def test_a_lost_device_is_not_taken_for_a_failed_capture(graphs: Graphs, rehearsal: Rehearsal) -> None:
    """Whoever loads has to know: nothing can be tried again in this process."""
    rehearsal.device.fail_capture = failing(
        0, torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")
    )
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    def lost() -> None:
        raise error

    with pytest.raises(torch.AcceleratorError) as caught:
        graphs.capture("a step", lost)
    assert caught.value is error


def test_what_the_driver_takes_counts_against_the_budget(
    graphs: Graphs, rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture
) -> None:
    rehearsal.device.graph_bytes = 600
    assert [graphs.capture(name, nothing) is nothing for name in "abcd"] == [False, False, True, True]
    assert graphs.budget == BUDGET - 2 * 600
    assert "used up after b" in caplog.text


def test_what_the_allocator_takes_counts_against_the_budget(graphs: Graphs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has freed for the capture does not make up for it."""
    reserved = [5000]

    def empty_cache() -> None:
        reserved[0] = min(reserved[0], 1000)

    def function() -> None:
        reserved[0] += 300

    monkeypatch.setattr(torch.cuda, "empty_cache", empty_cache)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: reserved[0])
    graphs.capture("a", function)
    assert graphs.budget == BUDGET - 300


def test_off_cuda_a_function_is_returned_unchanged() -> None:
    graphs = Graphs(torch.device("cpu"), 0)
    assert graphs.capture("nothing", nothing) is nothing
    assert (graphs.available, graphs.captured) == (False, 0)
