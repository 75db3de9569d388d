"""Utterances side by side in the engine: each becomes what it is alone, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from monica.engine import SynthesisParams, Utterance
from monica.engine.chatterbox.sampling import EOS
from monica.errors import InvalidText, UnknownVoice

from .house import SLOTS, STEPS, TEXTS, TOKENS, House

EVENTS = ("begin", "begin", "step", "step", "step", "step", "pause", "resume", "resume", "drop")


def test_utterances_made_together_are_what_each_is_alone(house: House) -> None:
    assert house.engine.slots == SLOTS
    first = house.begin(0)
    house.step(2)
    second = house.begin(1)
    house.step_until_done(first)
    third = house.begin(2)
    for number, utterance in enumerate((first, second, third)):
        house.assert_alone(utterance, number)
    assert len({samples.tobytes() for samples in house.alone}) == len(house.alone)


def test_t3_and_s3gen_draw_from_a_generator_of_the_seed_each(house: House) -> None:
    model, voice = house.utterances.model, house.engine._voices["monica"]
    params = SynthesisParams(max_tokens=2)
    text = model.tokenizer.tokenize(TEXTS[0])
    tokens = model.t3.decode(text, voice, params, torch.Generator().manual_seed(3))
    samples = model.decoder.decode(tokens, voice, generator=torch.Generator().manual_seed(3))
    made = house.finish(house.begin(3, params=params))
    np.testing.assert_array_equal(made, model.watermark.apply(samples).numpy())


def test_what_was_said_first_is_sounded_first(house: House) -> None:
    """As many stages a step as have been said, all of the first one; and T3 goes on meanwhile."""
    long, short = house.begin(0), house.begin(1)
    house.step(TOKENS)
    assert not short.done
    house.step()
    assert (short.done, long.done) == (True, False)
    house.step(4)
    assert not long.done
    house.step()
    assert long.done
    house.assert_alone(short, 1)
    house.assert_alone(long, 0)


def test_what_was_said_first_goes_on_first_after_a_pause(house: House) -> None:
    long, short = house.begin(0), house.begin(1)
    house.step(TOKENS)
    for utterance in (long, short):
        house.engine.pause(utterance)
    for utterance in (long, short):
        house.engine.resume(utterance)
    house.step()
    assert (short.done, long.done) == (True, False)
    house.assert_alone(long, 0)


@pytest.mark.parametrize("steps", range(STEPS))
def test_a_paused_utterance_goes_on_where_it_was(house: House, steps: int) -> None:
    """Before each of its steps, another one being made in its place."""
    utterance = house.begin(2)
    house.step(steps)
    house.engine.pause(utterance)
    house.assert_alone(house.begin(1), 1)
    house.step()
    assert not utterance.done
    house.engine.resume(utterance)
    house.assert_alone(utterance, 2)


@pytest.mark.parametrize(("paused", "when"), [(False, range(STEPS + 1)), (True, (0, 2, TOKENS, TOKENS + 2))])
def test_an_utterance_may_be_dropped_at_any_step(house: House, paused: bool, when: Iterable[int]) -> None:
    other = house.begin(1)
    house.step()
    house.engine.pause(other)
    for steps in when:
        utterance = house.begin(2)
        house.step(steps)
        if paused:
            house.engine.pause(utterance)
            house.engine.pause(utterance)
        house.engine.drop(utterance)
        house.engine.drop(utterance)
        house.engine.resume(utterance)
        assert house.t3.decoding == []
    house.engine.resume(other)
    house.assert_alone(other, 1)


@hypothesis_settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 5)), min_size=12, max_size=30), st.sampled_from([0, 2])
)
def test_whatever_happens(whole_house: House, events: list[tuple[str, int]], lag: int) -> None:
    """lag: steps that are under way before their tokens are read; on CUDA it is two."""
    house, engine = whole_house, whole_house.engine
    house.t3._lag = lag
    under_way: list[tuple[int, Utterance]] = []
    paused: list[tuple[int, Utterance]] = []
    try:
        for event, number in events:
            if event == "begin" and len(under_way) < SLOTS:
                under_way.append((number, house.begin(number)))
            elif event == "resume" and paused and len(under_way) < SLOTS:
                under_way.append(paused.pop(number % len(paused)))
                engine.resume(under_way[-1][1])
            elif event == "pause" and under_way:
                paused.append(under_way.pop(number % len(under_way)))
                engine.pause(paused[-1][1])
            elif event == "drop" and (under_way or paused):
                held = under_way or paused
                engine.drop(held.pop(number % len(held))[1])
            elif event == "step":
                engine.step()
            for begun, utterance in under_way:
                if utterance.done:
                    house.assert_alone(utterance, begun)
            under_way = [each for each in under_way if not each[1].done]
        while under_way or paused:
            for number, utterance in under_way:
                house.assert_alone(utterance, number)
            under_way, paused = paused[:SLOTS], paused[SLOTS:]
            for _, utterance in under_way:
                engine.resume(utterance)
        house.assert_empty()
    finally:
        house.t3._lag = 0
        for _, utterance in under_way + paused:
            engine.drop(utterance)


def end_speech_at(house: House, token: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let T3 draw end of speech at its `token`th step from now."""
    forward = house.t3.front.speech_head.forward
    steps = iter(range(10_000))

    def ending(hidden: Any) -> Any:
        logits = forward(hidden)
        logits[:, EOS] = 1000.0 if next(steps) == token else -1000.0
        return logits

    monkeypatch.setattr(house.t3.front.speech_head, "forward", ending)


@pytest.mark.parametrize("token", [0, 1])
def test_where_speech_ends_at_once_there_is_nothing_to_hear(
    house: House, monkeypatch: pytest.MonkeyPatch, token: int
) -> None:
    end_speech_at(house, token, monkeypatch)
    utterance = house.begin(0)
    house.step(token + 1)
    assert utterance.samples is not None
    assert utterance.samples.shape == (0,)
    assert utterance.samples.dtype == np.float32
    assert (utterance.complete, utterance.error) == (True, None)


def test_an_utterance_knows_whether_it_came_to_its_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = house.begin(0)
    assert house.finish(cut).shape == (960 * TOKENS,)
    assert not cut.complete
    end_speech_at(house, TOKENS - 1, monkeypatch)
    whole = house.begin(0)
    assert house.finish(whole).shape == (960 * (TOKENS - 2),)
    assert whole.complete


def test_what_cannot_be_begun_takes_no_slot(house: House) -> None:
    for error, other in (
        (UnknownVoice, {"voice": "nobody"}),
        (InvalidText, {"text": "  \n "}),
        (InvalidText, {"text": "ah, " * 800}),
    ):
        with pytest.raises(error):
            house.begin(0, **other)
    house.assert_empty()


def test_a_stage_is_timed_where_it_comes_to_its_end(house: House) -> None:
    def count(stage: str) -> float:
        return REGISTRY.get_sample_value("monica_stage_duration_seconds_count", {"stage": stage}) or 0

    before = [count(stage) for stage in ("t3", "s3gen", "watermark")]
    early, late = house.begin(0), house.begin(2)
    house.step(TOKENS - 1)
    house.engine.drop(early)
    house.step(2)
    house.engine.drop(late)
    house.finish(house.begin(0, params=SynthesisParams(max_tokens=1)))
    assert [count(stage) for stage in ("t3", "s3gen", "watermark")] == [before[0] + 2, before[1] + 1, before[2] + 1]
