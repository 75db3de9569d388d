"""CUDA graphs, emulated by a tape: the same tokens, from tensors that stay in place, without waiting."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks.single_take import generate_tokens
from monica.engine import SynthesisParams
from monica.engine.chatterbox import t3 as t3_module
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.t3 import T3
from monica.engine.chatterbox.tokenizer import TextTokenizer
from monica.engine.torch.graphs import Graphs
from monica.errors import ConfigError

from .tape import TapeGraphs
from .test_slots import PARAMS, T3Harness

WINDOWS = (64, 128, 256)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> TapeGraphs:
    monkeypatch.setattr(t3_module, "GRAPH_WINDOWS", WINDOWS)
    return TapeGraphs()


@pytest.fixture
def t3_harness(make_t3: Any, graphs: TapeGraphs, tokenizer: TextTokenizer, voice: Conditionals) -> T3Harness:
    t3 = make_t3(graphs=graphs, slots=2)
    t3.llama.reserve_cache(4, WINDOWS[-1])  # as on CUDA, where it never moves
    t3.warm_up()
    return T3Harness(t3, tokenizer, voice)


def test_a_graph_is_captured_for_each_number_of_slots_and_each_window(
    t3_harness: T3Harness, graphs: TapeGraphs
) -> None:
    assert graphs.names == [f"T3, {slots} takes, {window} positions" for window in (256, 128, 64) for slots in (2, 1)]
    assert graphs.captured == len(graphs.names)


def test_replayed_steps_equal_eager_steps(
    t3_harness: T3Harness, graphs: TapeGraphs, make_t3: Any, tokenizer: TextTokenizer, voice: Conditionals
) -> None:
    """Two takes with different parameters, which join and leave: one capture serves them all."""
    eager = T3Harness(make_t3(), tokenizer, voice)
    expected = [eager.alone(number) for number in range(4)]
    assert t3_harness.alone(0) == expected[0]
    assert graphs.replays == len(expected[0])
    for pair in ((1, 2), (3, 0), (2, 3)):
        takes = [t3_harness.add(number) for number in pair]
        while not all(take.done for take in takes):
            t3_harness.t3.step()
        for take in takes:
            t3_harness.t3.free_sequence(take)
        assert [take.tokens for take in takes] == [expected[number] for number in pair]
    assert len({tuple(tokens) for tokens in expected}) == len(expected) == len(PARAMS)


def test_a_captured_step_continues_a_paused_take(
    t3_harness: T3Harness, make_t3: Any, tokenizer: TextTokenizer, voice: Conditionals
) -> None:
    """In another slot, after other takes have used its own. The cache, whose address was captured, does not move."""
    eager = T3Harness(make_t3(), tokenizer, voice)
    place = t3_harness.t3.llama.keys.data_ptr()
    take = t3_harness.add(3)
    for _ in range(11):
        t3_harness.t3.step()
    saved = t3_harness.t3.pause_sequence(take)
    assert t3_harness.alone(2) == eager.alone(2)
    other = t3_harness.add(1)
    t3_harness.t3.step()
    t3_harness.t3.resume_sequence(take, saved)
    while not (take.done and other.done):
        t3_harness.t3.step()
    assert (take.slot, take.tokens, other.tokens) == (1, eager.alone(3), eager.alone(1))
    assert t3_harness.t3.llama.keys.data_ptr() == place


def test_warm_up_leaves_no_trace(t3_harness: T3Harness) -> None:
    assert t3_harness.t3.llama.keys.abs().max() == 0
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
    """Graphs whose budget is used up after some captures. They replay nothing."""

    def __init__(self, after: int) -> None:
        super().__init__(torch.device("cuda"), after - 1)

    def _capture(self, function: Any) -> Any:
        self.budget -= 1
        return function


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
