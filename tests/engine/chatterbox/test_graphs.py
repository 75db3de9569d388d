"""CUDA graphs, emulated by a tape: the same tokens, from tensors that stay in place, without waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from benchmarks.single_take import generate_tokens
from monica.engine import SynthesisParams
from monica.engine.chatterbox import step_graphs
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.llama import POSITIONS
from monica.engine.chatterbox.step_graphs import Step, StepGraphs
from monica.engine.chatterbox.t3 import T3
from monica.engine.chatterbox.tokenizer import TextTokenizer
from monica.engine.torch.graphs import Graphs
from monica.errors import ConfigError

from . import efficient_attention
from .tape import TapeGraphs
from .test_slots import PARAMS, T3Harness

WINDOWS = (64, 128, 256)


def as_on_cuda(t3: T3, graphs: Graphs, *, by_length: bool = True) -> T3:
    """Make a T3 on the CPU do what it does on CUDA, with the same kernels."""
    t3.by_length, t3.llama.rotates_by_product = by_length, True
    t3.graphs = StepGraphs(graphs, t3.slots.count, by_length=by_length)
    t3.llama.reserve_cache(2 * t3.slots.count, WINDOWS[-1])  # it never moves
    t3.warm_up()
    return t3


@pytest.fixture(scope="module")
def eager(make_t3: Any, tokenizer: TextTokenizer, voice: Conditionals) -> list[list[int]]:
    """The tokens of each take alone, as the CPU makes them."""
    harness = T3Harness(make_t3(), tokenizer, voice)
    return [harness.alone(number) for number in range(len(PARAMS))]


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[TapeGraphs]:
    monkeypatch.setattr(step_graphs, "WINDOWS", WINDOWS)
    with efficient_attention.installed():
        yield TapeGraphs()


@pytest.fixture
def t3_harness(make_t3: Any, graphs: TapeGraphs, tokenizer: TextTokenizer, voice: Conditionals) -> T3Harness:
    return T3Harness(as_on_cuda(make_t3(slots=2), graphs), tokenizer, voice)


@pytest.fixture
def windowed_harness(make_t3: Any, graphs: TapeGraphs, tokenizer: TextTokenizer, voice: Conditionals) -> T3Harness:
    """As on a GPU whose PyTorch has no attention by length."""
    return T3Harness(as_on_cuda(make_t3(slots=2), graphs, by_length=False), tokenizer, voice)


def test_a_graph_is_captured_for_each_number_of_slots_with_and_without_a_sort(
    t3_harness: T3Harness, graphs: TapeGraphs
) -> None:
    assert graphs.names == [f"T3, {slots} takes{sort}" for slots in (2, 1) for sort in ("", ", no top-p")]
    assert graphs.captured == len(graphs.names)


def test_with_windows_a_graph_is_captured_for_each_number_of_slots_and_each_window(
    windowed_harness: T3Harness, graphs: TapeGraphs
) -> None:
    assert graphs.names == [f"T3, {slots} takes, {window} positions" for window in (256, 128, 64) for slots in (2, 1)]
    assert graphs.captured == len(graphs.names)


def test_the_number_of_graphs_is_bounded() -> None:
    assert [len(StepGraphs(None, 8, by_length=by_length).steps()) for by_length in (True, False)] == [12, 66]


@pytest.mark.parametrize("harness_name", ["t3_harness", "windowed_harness"])
def test_replayed_steps_equal_eager_steps(
    harness_name: str,
    request: pytest.FixtureRequest,
    graphs: TapeGraphs,
    eager: list[list[int]],
) -> None:
    """Two takes with different parameters, which join and leave: one capture serves them all."""
    t3_harness: T3Harness = request.getfixturevalue(harness_name)
    assert t3_harness.alone(0) == eager[0]
    assert graphs.replays == len(eager[0])
    for pair in ((1, 2), (3, 0), (2, 3)):
        takes = [t3_harness.add(number) for number in pair]
        while not all(take.done for take in takes):
            t3_harness.t3.step()
        for take in takes:
            t3_harness.t3.free_sequence(take)
        assert [take.tokens for take in takes] == [eager[number] for number in pair]
    assert len({tuple(tokens) for tokens in eager}) == len(eager) == len(PARAMS)


def test_steps_sort_only_while_a_take_wants_top_p(t3_harness: T3Harness, graphs: TapeGraphs) -> None:
    plain, top_p = t3_harness.add(0), t3_harness.add(2)
    t3_harness.t3.step()
    saved = t3_harness.t3.pause_sequence(top_p)
    t3_harness.t3.step()
    t3_harness.t3.resume_sequence(top_p, saved)
    t3_harness.t3.free_sequence(plain)
    t3_harness.t3.step()
    assert graphs.replayed == ["T3, 2 takes", "T3, 1 takes, no top-p", "T3, 1 takes"]


def test_a_captured_step_continues_a_paused_take(t3_harness: T3Harness, eager: list[list[int]]) -> None:
    """In another slot, after other takes have used its own. The cache, whose address was captured, does not move."""
    place = t3_harness.t3.llama.cache.data_ptr()
    take = t3_harness.add(3)
    for _ in range(11):
        t3_harness.t3.step()
    saved = t3_harness.t3.pause_sequence(take)
    assert t3_harness.alone(2) == eager[2]
    other = t3_harness.add(1)
    t3_harness.t3.step()
    t3_harness.t3.resume_sequence(take, saved)
    while not (take.done and other.done):
        t3_harness.t3.step()
    assert (take.slot, take.tokens, other.tokens) == (1, eager[3], eager[1])
    assert t3_harness.t3.llama.cache.data_ptr() == place


def test_warm_up_leaves_no_trace(t3_harness: T3Harness) -> None:
    assert t3_harness.t3.llama.cache.abs().max() == 0
    assert [int(t3_harness.t3.slots.position.max()), int(t3_harness.t3.slots.num_generated.max())] == [0, 0]


def test_a_function_that_waits_for_the_device_cannot_be_captured(t3_harness: T3Harness, graphs: TapeGraphs) -> None:
    """The tape refuses what a real capture would refuse, so this one must fail."""
    step = torch.zeros(1)

    def waits_for_device() -> None:
        if float(step) == 0:
            step.add_(1)

    with pytest.raises(ConfigError, match="_local_scalar_dense waits for the device"):
        graphs.capture("a mistake", waits_for_device)
    assert not graphs.available


class Full(Graphs):
    """Graphs whose budget is used up after some captures. A replay calls the function."""

    def __init__(self, after: int) -> None:
        super().__init__(torch.device("cuda"), after - 1)

    def _capture(self, function: Any) -> Any:
        self.budget -= 1
        return lambda: function()


def test_a_take_is_made_even_if_the_budget_for_graphs_is_used_up(
    make_t3: Any, tokenizer: TextTokenizer, voice: Conditionals, t3: T3, caplog: pytest.LogCaptureFixture
) -> None:
    full = make_t3(graphs=Full(after=1))
    full.warm_up()
    params = SynthesisParams(max_tokens=5)
    tokens = [
        generate_tokens(each, tokenizer.tokenize("Bonsoir."), voice, params, torch.Generator().manual_seed(1))
        for each in (full, t3)
    ]
    assert torch.equal(*tokens)
    assert "used up" in caplog.text


def test_a_step_that_was_not_captured_reads_a_window_of_its_own(make_t3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the window that its graph would have had."""
    monkeypatch.setattr(step_graphs, "WINDOWS", WINDOWS)
    t3 = as_on_cuda(make_t3(slots=2), Full(after=2), by_length=False)
    assert list(t3.graphs.replays) == [Step(2, 256, top_p=True), Step(1, 256, top_p=True)]
    windows = []
    monkeypatch.setattr(t3, "_forward", lambda step: windows.append(step.window))
    t3._run_step(1, 70, top_p=False)
    t3._run_step(2, 30, top_p=False)
    assert windows == [128, 64]


def test_a_take_that_is_not_freed_never_writes_past_the_cache(t3_harness: T3Harness) -> None:
    take = t3_harness.add(0)
    take.position = POSITIONS
    with pytest.raises(RuntimeError, match="was not freed"):
        t3_harness.t3.step()
    t3_harness.t3.free_sequence(take)
