"""T3 with several takes side by side: each gets the same tokens as alone, whichever others join or leave."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monica.engine import SynthesisParams
from monica.engine.chatterbox import t3 as t3_module
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.llama import POSITIONS
from monica.engine.chatterbox.slots import SLOTS, SavedSequence, slot_rows
from monica.engine.chatterbox.step_graphs import Step
from monica.engine.chatterbox.t3 import T3, affordable_slots
from monica.engine.chatterbox.token_sequence import TokenSequence
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
    for event in ("add", "step", "step", "step", "pause", "resume", "resume", "free")
    for which in (0, 1, -1)
]


class T3Harness:
    """Makes takes on a T3, by number."""

    def __init__(self, t3: T3, tokenizer: TextTokenizer, voice: Conditionals) -> None:
        self.t3, self._tokenizer, self._voice = t3, tokenizer, voice

    def add(self, number: int) -> TokenSequence:
        text = self._tokenizer.tokenize(TEXTS[number % len(TEXTS)])
        params = PARAMS[number % len(PARAMS)]
        return self.t3.add_sequence(text, self._voice, params, torch.Generator().manual_seed(number))

    def alone(self, number: int) -> list[int]:
        take = self.add(number)
        while not take.done:
            self.t3.step()
        self.t3.free_sequence(take)
        return take.tokens


@pytest.fixture(scope="module")
def t3_harness(make_t3: Any, tokenizer: TextTokenizer, voice: Conditionals) -> T3Harness:
    return T3Harness(make_t3(), tokenizer, voice)


@pytest.fixture
def late(t3_harness: T3Harness, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Read tokens late, as on CUDA, where the host reads the tokens of two steps ago."""
    monkeypatch.setattr(t3_harness.t3, "_lag", 2)
    yield
    t3_harness.t3._in_flight.clear()


@pytest.fixture(scope="module")
def alone(t3_harness: T3Harness) -> list[list[int]]:
    return [t3_harness.alone(number) for number in range(9)]


def test_four_takes_together_equal_each_one_alone(t3_harness: T3Harness, alone: list[list[int]]) -> None:
    takes = [t3_harness.add(number) for number in range(4)]
    while not all(take.done for take in takes):
        t3_harness.t3.step()
    assert [take.tokens for take in takes] == alone[:4]
    for take in takes:
        t3_harness.t3.free_sequence(take)
    assert t3_harness.t3.running == []


def test_an_idle_slot_that_is_computed_reads_and_writes_one_position(t3_harness: T3Harness) -> None:
    """Five takes: the sixth slot is computed too, and has been used before."""
    t3 = t3_harness.t3
    takes = [t3_harness.add(number) for number in range(6)]
    for _ in range(3):
        t3.step()
    t3.free_sequence(takes.pop(2))
    with torch.inference_mode():
        t3.llama.clear_rows(slot_rows(5))
    for _ in range(3):
        t3.step()
    written = t3.llama.cache[:, slot_rows(5)].abs().amax(dim=(0, 1, 2, 4))  # (positions,)
    assert written.nonzero().flatten().tolist() == [0]
    assert t3.slots.position[:6].tolist() == [take.position for take in t3.running] + [0]
    for take in takes:
        t3.free_sequence(take)


def test_no_take_can_be_added_if_all_slots_are_in_use(t3_harness: T3Harness) -> None:
    takes = [t3_harness.add(number) for number in range(SLOTS[-1])]
    with pytest.raises(RuntimeError, match="all 8 slots"):
        t3_harness.add(8)
    for take in takes:
        t3_harness.t3.free_sequence(take)
        t3_harness.t3.free_sequence(take)  # twice does no harm


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_any_sequence_of_events_leaves_the_tokens_unchanged(
    t3_harness: T3Harness, alone: list[list[int]], events: list[tuple[str, int]]
) -> None:
    takes: dict[int, TokenSequence] = {}
    paused: dict[int, tuple[TokenSequence, SavedSequence]] = {}
    numbers = iter(range(9))
    for event, which in events:
        if event == "add" and len(takes) < SLOTS[-1]:
            number = next(numbers, None)
            if number is not None:
                takes[number] = t3_harness.add(number)
        elif event == "resume" and paused and len(takes) < SLOTS[-1]:
            number = sorted(paused)[which % len(paused)]
            takes[number], saved = paused.pop(number)
            t3_harness.t3.resume_sequence(takes[number], saved)
        elif event == "step":
            t3_harness.t3.step()
        elif event in ("pause", "free") and takes:
            number = sorted(takes)[which % len(takes)]
            if event == "pause":
                paused[number] = takes[number], t3_harness.t3.pause_sequence(takes[number])
            else:
                t3_harness.t3.free_sequence(takes[number])
            del takes[number]
        assert [take.slot for take in t3_harness.t3.running] == list(range(len(takes)))
    t3_harness.t3.step()
    everyone = takes | {number: take for number, (take, _) in paused.items()}
    try:
        for number, take in everyone.items():
            assert take.tokens == alone[number][: len(take.tokens)]
    finally:
        for take in everyone.values():
            t3_harness.t3.free_sequence(take)


def test_tokens_read_late_are_the_same_tokens(t3_harness: T3Harness, alone: list[list[int]], late: None) -> None:
    first, second = t3_harness.add(0), t3_harness.add(1)
    for _ in range(6):
        t3_harness.t3.step()
    assert (len(first.tokens), len(second.tokens)) == (4, 4)
    t3_harness.t3.free_sequence(first)  # with two of its steps in flight
    third = t3_harness.add(2)
    while not (second.done and third.done):
        t3_harness.t3.step()
    assert first.tokens == alone[0][: len(first.tokens)]
    assert (second.tokens, third.tokens) == (alone[1], alone[2])
    t3_harness.t3.free_sequence(second)
    t3_harness.t3.free_sequence(third)


@pytest.mark.parametrize("steps", [0, 13])
def test_a_resumed_take_continues_unchanged(
    t3_harness: T3Harness, alone: list[list[int]], late: None, steps: int
) -> None:
    """In another slot, after other takes have used its own. Parameters, penalties and generator are still its own."""
    take = t3_harness.add(3)
    for _ in range(steps):
        t3_harness.t3.step()
    saved = t3_harness.t3.pause_sequence(take)
    assert t3_harness.alone(1) == alone[1]
    assert take.tokens == alone[3][:steps]  # including those that were in flight
    other = t3_harness.add(2)
    t3_harness.t3.step()
    t3_harness.t3.resume_sequence(take, saved)
    assert take.slot == 1
    while not (take.done and other.done):
        t3_harness.t3.step()
    assert (take.tokens, other.tokens) == (alone[3], alone[2])
    t3_harness.t3.free_sequence(take)
    t3_harness.t3.free_sequence(other)


def test_a_take_may_be_paused_at_every_step(t3_harness: T3Harness, alone: list[list[int]]) -> None:
    take = t3_harness.add(2)
    while not take.done:
        t3_harness.t3.step()
        saved = t3_harness.t3.pause_sequence(take)
        assert t3_harness.t3.running == []
        t3_harness.t3.resume_sequence(take, saved)
    assert take.tokens == alone[2]
    t3_harness.t3.free_sequence(take)


def test_a_take_can_resume_in_a_slot_never_used_before(
    t3: T3, tokenizer: TextTokenizer, voice: Conditionals, alone: list[list[int]]
) -> None:
    t3_harness = T3Harness(t3, tokenizer, voice)
    take = t3_harness.add(0)
    saved = t3.pause_sequence(take)
    other = t3_harness.add(1)
    t3.resume_sequence(take, saved)
    for _ in range(3):
        t3.step()
    assert (take.tokens, other.tokens) == (alone[0][:3], alone[1][:3])


def test_a_pause_saves_the_filled_positions_and_t3_keeps_nothing(t3_harness: T3Harness) -> None:
    take, other = t3_harness.add(0), t3_harness.add(1)
    t3_harness.t3.step()
    saved = t3_harness.t3.pause_sequence(take)
    assert saved.cache.size(3) == take.position
    assert t3_harness.t3.running == [other]
    kept_alive = [weakref.ref(tensor) for tensor in (*saved.state, saved.cache)]
    del saved
    assert [reference() for reference in kept_alive] == [None] * len(kept_alive)
    t3_harness.t3.free_sequence(take)
    assert t3_harness.t3.running == [other]
    saved = t3_harness.t3.pause_sequence(other)
    t3_harness.t3.resume_sequence(other, saved)
    with pytest.raises(RuntimeError, match="not paused"):
        t3_harness.t3.resume_sequence(other, saved)
    t3_harness.t3.free_sequence(other)


def test_values_not_finite_stay_in_no_slot(t3_harness: T3Harness, alone: list[list[int]], late: None) -> None:
    """Not even those of a take that has left its slot before its failure is known."""
    paused, freed = t3_harness.add(0), t3_harness.add(1)
    norm = t3_harness.t3.llama.layers[0].attention_norm
    kept = norm.clone()
    with torch.inference_mode():
        norm.fill_(torch.nan)
        t3_harness.t3.step()
        norm.copy_(kept)
    t3_harness.t3.pause_sequence(paused)
    t3_harness.t3.free_sequence(freed)
    other = t3_harness.add(2)
    while not other.done:
        t3_harness.t3.step()
    t3_harness.t3.free_sequence(other)
    assert paused.failed
    t3_harness.t3.free_sequence(paused)
    takes = [t3_harness.add(number) for number in (1, 0)]  # a shorter prompt than before
    while not all(take.done for take in takes):
        t3_harness.t3.step()
    for take in takes:
        t3_harness.t3.free_sequence(take)
    assert [take.tokens for take in takes] == [alone[1], alone[0]]


def test_window_and_cache_size_do_not_change_the_logits(
    make_t3: Any, tokenizer: TextTokenizer, voice: Conditionals
) -> None:
    from monica.engine.chatterbox.prompt import embed_prompt

    tokens = torch.tensor([6561, *range(100, 130)])
    results = []
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float64, 1e-9)):
        t3 = make_t3(dtype)
        with torch.inference_mode():
            prompt = embed_prompt(t3.front, tokenizer.tokenize(TEXTS[2]), voice, SynthesisParams())
        exact = t3.teacher_forced_logits(prompt, tokens)  # crosses from a window of 64 to 128
        t3._run_step = lambda count, longest, t3=t3, **_: t3._forward(Step(count, 256, top_p=True))
        torch.testing.assert_close(t3.teacher_forced_logits(prompt, tokens), exact, atol=tolerance, rtol=0)
        t3.llama.reserve_cache(8, 1024)
        torch.testing.assert_close(t3.teacher_forced_logits(prompt, tokens), exact, atol=tolerance, rtol=0)
        results.append(exact)
    torch.testing.assert_close(results[0].double(), results[1], atol=1e-4, rtol=0)


def test_many_takes_leave_nothing_behind(t3_harness: T3Harness) -> None:
    """Forty takes here; a thousand in `python -m benchmarks.steadiness`."""

    def state() -> tuple[Any, ...]:
        modules = list(t3_harness.t3.front.modules())
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)
        cache = (t3_harness.t3.llama.cache.shape, t3_harness.t3.llama.cache.data_ptr())
        return (
            hooks,
            len(modules),
            cache,
            len(t3_harness.t3._in_flight),
            len(t3_harness.t3.graphs.replays),
            len(vars(t3_harness.t3)),
        )

    short = dataclasses.replace(PARAMS[0], max_tokens=3)
    first = t3_harness.alone(0)
    before = state()
    for number in range(40):
        generator = torch.Generator().manual_seed(number)
        take = t3_harness.t3.add_sequence(torch.tensor([255, 20, 30, 0]), t3_harness._voice, short, generator)
        while not take.done:
            t3_harness.t3.step()
        t3_harness.t3.free_sequence(take)
    assert state() == before
    assert t3_harness.alone(0) == first


def test_slots_fit_the_memory(t3: T3) -> None:
    config = t3.front.cfg
    layers = len(t3.llama.layers)
    each = 2 * 2 * POSITIONS * layers * 1024 * 4
    t3.llama.reserve_cache(2, POSITIONS)
    assert t3.llama.cache.nbytes == each
    assert [affordable_slots(config, layers, "fp32", n * each) for n in (0, 1, 2, 3, 5, 7, 8, 100)] == [
        1,
        1,
        2,
        3,
        4,
        6,
        8,
        8,
    ]
    assert affordable_slots(config, layers, "bf16", 4 * each) == 8


def test_tokens_are_read_late_only_on_cuda(t3: T3) -> None:
    assert t3._lag == 0
    assert t3_module.LAG > 0
