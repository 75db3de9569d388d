"""T3 with several takes side by side: each says what it would say alone, whoever joins or leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monica.engine import SynthesisParams
from monica.engine.chatterbox import t3 as t3_module
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.decoding import Decoding
from monica.engine.chatterbox.llama import POSITIONS
from monica.engine.chatterbox.slots import SLOTS
from monica.engine.chatterbox.t3 import T3, affordable_slots
from monica.engine.chatterbox.tokenizer import TextTokenizer

TEXTS = ("Bonsoir.", "Rusmir relance à 4 000.", "Il reste douze joueurs, et la pause est à 21 heures 30.", "Tapis !")
PARAMS = (
    SynthesisParams(max_tokens=24),
    SynthesisParams(max_tokens=24, cfg_weight=0.0),
    SynthesisParams(max_tokens=24, temperature=1.3, top_p=0.9),
    SynthesisParams(max_tokens=24, repetition_penalty=2.0, exaggeration=1.2),
)
EVENTS = [
    (event, which)
    for event in ("admit", "step", "step", "step", "pause", "resume", "resume", "retire")
    for which in (0, 1, -1)
]


class RunningBatch:
    """A T3, and takes by their number."""

    def __init__(self, t3: T3, tokenizer: TextTokenizer, voice: Conditionals) -> None:
        self.t3, self._tokenizer, self._voice = t3, tokenizer, voice

    def admit(self, number: int) -> Decoding:
        text = self._tokenizer.tokenize(TEXTS[number % len(TEXTS)])
        params = PARAMS[number % len(PARAMS)]
        return self.t3.admit(text, self._voice, params, torch.Generator().manual_seed(number))

    def alone(self, number: int) -> list[int]:
        take = self.admit(number)
        while not take.done:
            self.t3.step()
        self.t3.retire(take)
        return take.tokens


@pytest.fixture(scope="module")
def stage(make_t3: Any, tokenizer: TextTokenizer, voice: Conditionals) -> RunningBatch:
    return RunningBatch(make_t3(), tokenizer, voice)


@pytest.fixture
def late(stage: RunningBatch, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have tokens read late, as on CUDA, where the host reads what was drawn two steps ago."""
    monkeypatch.setattr(stage.t3, "_lag", 2)
    yield
    stage.t3._under_way.clear()


@pytest.fixture(scope="module")
def alone(stage: RunningBatch) -> list[list[int]]:
    return [stage.alone(number) for number in range(9)]


def test_alone_as_with_three_others(stage: RunningBatch, alone: list[list[int]]) -> None:
    takes = [stage.admit(number) for number in range(4)]
    while not all(take.done for take in takes):
        stage.t3.step()
    assert [take.tokens for take in takes] == alone[:4]
    for take in takes:
        stage.t3.retire(take)
    assert stage.t3.decoding == []


def test_a_full_house_refuses(stage: RunningBatch) -> None:
    takes = [stage.admit(number) for number in range(SLOTS[-1])]
    with pytest.raises(RuntimeError, match="all 8 slots"):
        stage.admit(8)
    for take in takes:
        stage.t3.retire(take)
        stage.t3.retire(take)  # twice does no harm


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_whoever_joins_and_leaves(stage: RunningBatch, alone: list[list[int]], events: list[tuple[str, int]]) -> None:
    takes: dict[int, Decoding] = {}
    paused: dict[int, Decoding] = {}
    numbers = iter(range(9))
    for event, which in events:
        if event == "admit" and len(takes) < SLOTS[-1]:
            number = next(numbers, None)
            if number is not None:
                takes[number] = stage.admit(number)
        elif event == "resume" and paused and len(takes) < SLOTS[-1]:
            number = sorted(paused)[which % len(paused)]
            stage.t3.resume(paused[number])
            takes[number] = paused.pop(number)
        elif event == "step":
            stage.t3.step()
        elif event in ("pause", "retire") and takes:
            number = sorted(takes)[which % len(takes)]
            if event == "pause":
                stage.t3.pause(takes[number])
                paused[number] = takes[number]
            else:
                stage.t3.retire(takes[number])
            del takes[number]
        assert [take.slot for take in stage.t3.decoding] == list(range(len(takes)))
    stage.t3.step()
    try:
        for number, take in (takes | paused).items():
            assert take.tokens == alone[number][: len(take.tokens)]
    finally:
        for take in (takes | paused).values():
            stage.t3.retire(take)


def test_tokens_read_late_are_the_same_tokens(stage: RunningBatch, alone: list[list[int]], late: None) -> None:
    first, second = stage.admit(0), stage.admit(1)
    for _ in range(6):
        stage.t3.step()
    assert (len(first.tokens), len(second.tokens)) == (4, 4)
    stage.t3.retire(first)  # with two of its steps under way
    third = stage.admit(2)
    while not (second.done and third.done):
        stage.t3.step()
    assert first.tokens == alone[0][: len(first.tokens)]
    assert (second.tokens, third.tokens) == (alone[1], alone[2])
    stage.t3.retire(second)
    stage.t3.retire(third)


@pytest.mark.parametrize("steps", [0, 13])
def test_a_paused_take_goes_on_as_if_nothing_had_happened(
    stage: RunningBatch, alone: list[list[int]], late: None, steps: int
) -> None:
    """From another slot than its own, which others have used: parameters, penalties and generator are its own still."""
    take = stage.admit(3)
    for _ in range(steps):
        stage.t3.step()
    stage.t3.pause(take)
    assert stage.alone(1) == alone[1]
    assert take.tokens == alone[3][:steps]  # those that were under way too
    other = stage.admit(2)
    stage.t3.step()
    stage.t3.resume(take)
    assert take.slot == 1
    while not (take.done and other.done):
        stage.t3.step()
    assert (take.tokens, other.tokens) == (alone[3], alone[2])
    stage.t3.retire(take)
    stage.t3.retire(other)


def test_a_take_may_be_paused_again_and_again(stage: RunningBatch, alone: list[list[int]]) -> None:
    take = stage.admit(2)
    while not take.done:
        stage.t3.step()
        stage.t3.pause(take)
        assert stage.t3.decoding == []
        stage.t3.resume(take)
    assert take.tokens == alone[2]
    stage.t3.retire(take)


def test_a_take_goes_on_in_a_slot_that_nobody_has_had(
    t3: T3, tokenizer: TextTokenizer, voice: Conditionals, alone: list[list[int]]
) -> None:
    stage = RunningBatch(t3, tokenizer, voice)
    take = stage.admit(0)
    t3.pause(take)
    other = stage.admit(1)
    t3.resume(take)
    for _ in range(3):
        t3.step()
    assert (take.tokens, other.tokens) == (alone[0][:3], alone[1][:3])


def test_a_paused_take_keeps_what_it_filled_and_nothing_once_it_is_retired(stage: RunningBatch) -> None:
    take, other = stage.admit(0), stage.admit(1)
    stage.t3.step()
    stage.t3.pause(take)
    assert take.saved is not None
    assert [kept.size(3) for kept in take.saved.cache] == [take.position] * 2
    assert stage.t3.decoding == [other]
    stage.t3.retire(take)
    assert take.saved is None
    assert stage.t3.decoding == [other]
    stage.t3.retire(other)
    with pytest.raises(RuntimeError, match="not paused"):
        stage.t3.resume(take)


def test_what_is_no_number_stays_in_no_slot(stage: RunningBatch, alone: list[list[int]], late: None) -> None:
    """Nor that of a take that has left its slot before it is known to have failed."""
    paused, retired = stage.admit(0), stage.admit(1)
    norm = stage.t3.llama.layers[0].attention_norm
    kept = norm.clone()
    with torch.inference_mode():
        norm.fill_(torch.nan)
        stage.t3.step()
        norm.copy_(kept)
    stage.t3.pause(paused)
    stage.t3.retire(retired)
    other = stage.admit(2)
    while not other.done:
        stage.t3.step()
    stage.t3.retire(other)
    assert paused.failed
    stage.t3.retire(paused)
    takes = [stage.admit(number) for number in (1, 0)]  # a shorter prompt than was there
    while not all(take.done for take in takes):
        stage.t3.step()
    for take in takes:
        stage.t3.retire(take)
    assert [take.tokens for take in takes] == [alone[1], alone[0]]


def test_other_windows_other_cache_the_same_logits(make_t3: Any, tokenizer: TextTokenizer, voice: Conditionals) -> None:
    from monica.engine.chatterbox.prompt import embed_prompt

    tokens = torch.tensor([6561, *range(100, 130)])
    found = []
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float64, 1e-9)):
        t3 = make_t3(dtype)
        with torch.inference_mode():
            prompt = embed_prompt(t3.front, tokenizer.tokenize(TEXTS[2]), voice, SynthesisParams())
        exact = t3.follow(prompt, tokens)  # crosses from a window of 64 to 128
        t3._replay = lambda count, longest, t3=t3: partial(t3._advance, count, 256)
        torch.testing.assert_close(t3.follow(prompt, tokens), exact, atol=tolerance, rtol=0)
        t3.llama.reserve(8, 1024)
        torch.testing.assert_close(t3.follow(prompt, tokens), exact, atol=tolerance, rtol=0)
        found.append(exact)
    torch.testing.assert_close(found[0].double(), found[1], atol=1e-4, rtol=0)


def test_many_takes_leave_nothing_behind(stage: RunningBatch) -> None:
    """Forty here; a thousand in `python -m benchmarks.steadiness`."""

    def state() -> tuple[Any, ...]:
        modules = list(stage.t3.front.modules())
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)
        cache = (stage.t3.llama.keys.shape, stage.t3.llama.keys.data_ptr())
        return hooks, len(modules), cache, len(stage.t3._under_way), len(stage.t3._replays), len(vars(stage.t3))

    short = dataclasses.replace(PARAMS[0], max_tokens=3)
    first = stage.alone(0)
    before = state()
    for number in range(40):
        generator = torch.Generator().manual_seed(number)
        take = stage.t3.admit(torch.tensor([255, 20, 30, 0]), stage._voice, short, generator)
        while not take.done:
            stage.t3.step()
        stage.t3.retire(take)
    assert state() == before
    assert stage.alone(0) == first


def test_slots_fit_the_memory(t3: T3) -> None:
    config = t3.front.cfg
    layers = len(t3.llama.layers)
    each = 2 * 2 * POSITIONS * layers * 1024 * 4
    t3.llama.reserve(2, POSITIONS)
    assert t3.llama.keys.nbytes + t3.llama.values.nbytes == each
    assert [affordable_slots(config, layers, "fp32", n * each) for n in (0, 1, 2, 3, 7, 8, 100)] == [
        1,
        1,
        2,
        2,
        4,
        8,
        8,
    ]
    assert affordable_slots(config, layers, "bf16", 4 * each) == 8


def test_lag_is_cudas(t3: T3) -> None:
    assert t3._lag == 0
    assert t3_module.LAG > 0
