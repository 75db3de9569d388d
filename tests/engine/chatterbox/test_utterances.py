"""Utterances side by side in the engine: each equals the same one made alone, whatever happens to the others."""

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

from benchmarks.single_take import generate_tokens, synthesize_tokens
from monica.engine import SynthesisParams, Utterance
from monica.engine.chatterbox.sampling import EOS
from monica.errors import InvalidText, UnknownVoice

from .engine_harness import SLOTS, STEPS, TEXTS, TOKENS, EngineHarness

EVENTS = ("begin", "begin", "step", "step", "step", "step", "pause", "resume", "resume", "drop")


def test_utterances_made_together_equal_each_one_alone(harness: EngineHarness) -> None:
    assert harness.engine.slots == SLOTS
    first = harness.begin(0)
    harness.step(2)
    second = harness.begin(1)
    harness.step_until_done(first)
    third = harness.begin(2)
    for number, utterance in enumerate((first, second, third)):
        harness.assert_alone(utterance, number)
    assert len({samples.tobytes() for samples in harness.alone}) == len(harness.alone)


def test_t3_and_s3gen_each_use_a_generator_with_the_seed(harness: EngineHarness) -> None:
    model, voice = harness.utterances.model, harness.engine._voices["monica"]
    params = SynthesisParams(max_tokens=2)
    text = model.tokenizer.tokenize(TEXTS[0])
    tokens = generate_tokens(model.t3, text, voice, params, torch.Generator().manual_seed(3))
    samples = synthesize_tokens(model.token2wav, tokens, voice, generator=torch.Generator().manual_seed(3))
    made = harness.finish(harness.begin(3, params=params))
    np.testing.assert_array_equal(made, model.watermark.apply(samples[:960]).numpy())


def test_the_first_one_generated_is_synthesized_first(harness: EngineHarness) -> None:
    """A step has as many passes as utterances wait for S3Gen, all for the first one. T3 continues meanwhile."""
    long, short = harness.begin(0), harness.begin(1)
    harness.step(TOKENS)
    assert not short.done
    harness.step()
    assert (short.done, long.done) == (True, False)
    harness.step(4)
    assert not long.done
    harness.step()
    assert long.done
    harness.assert_alone(short, 1)
    harness.assert_alone(long, 0)


def test_the_first_one_generated_continues_first_after_a_pause(harness: EngineHarness) -> None:
    long, short = harness.begin(0), harness.begin(1)
    harness.step(TOKENS)
    for utterance in (long, short):
        harness.engine.pause(utterance)
    for utterance in (long, short):
        harness.engine.resume(utterance)
    harness.step()
    assert (short.done, long.done) == (True, False)
    harness.assert_alone(long, 0)


@pytest.mark.parametrize("steps", range(STEPS))
def test_a_paused_utterance_continues_where_it_stopped(harness: EngineHarness, steps: int) -> None:
    """Paused before each of its steps, while another one is made in its place."""
    utterance = harness.begin(2)
    harness.step(steps)
    harness.engine.pause(utterance)
    harness.assert_alone(harness.begin(1), 1)
    harness.step()
    assert not utterance.done
    harness.engine.resume(utterance)
    harness.assert_alone(utterance, 2)


@pytest.mark.parametrize(("paused", "when"), [(False, range(STEPS + 1)), (True, (0, 2, TOKENS, TOKENS + 2))])
def test_an_utterance_can_be_dropped_at_any_step(harness: EngineHarness, paused: bool, when: Iterable[int]) -> None:
    other = harness.begin(1)
    harness.step()
    harness.engine.pause(other)
    for steps in when:
        utterance = harness.begin(2)
        harness.step(steps)
        if paused:
            harness.engine.pause(utterance)
            harness.engine.pause(utterance)
        harness.engine.drop(utterance)
        harness.engine.drop(utterance)
        harness.engine.resume(utterance)
        assert harness.t3.running == []
    harness.engine.resume(other)
    harness.assert_alone(other, 1)


@hypothesis_settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 5)), min_size=12, max_size=30), st.sampled_from([0, 2])
)
def test_any_sequence_of_events_leaves_the_samples_unchanged(
    whole_harness: EngineHarness, events: list[tuple[str, int]], lag: int
) -> None:
    """lag: number of steps in flight before their tokens are read; on CUDA it is two."""
    harness, engine = whole_harness, whole_harness.engine
    harness.t3._lag = lag
    running: list[tuple[int, Utterance]] = []
    paused: list[tuple[int, Utterance]] = []
    try:
        for event, number in events:
            if event == "begin" and len(running) < SLOTS:
                running.append((number, harness.begin(number)))
            elif event == "resume" and paused and len(running) < SLOTS:
                running.append(paused.pop(number % len(paused)))
                engine.resume(running[-1][1])
            elif event == "pause" and running:
                paused.append(running.pop(number % len(running)))
                engine.pause(paused[-1][1])
            elif event == "drop" and (running or paused):
                held = running or paused
                engine.drop(held.pop(number % len(held))[1])
            elif event == "step":
                engine.step()
            for number_begun, utterance in running:
                if utterance.done:
                    harness.assert_alone(utterance, number_begun)
            running = [each for each in running if not each[1].done]
        while running or paused:
            for number, utterance in running:
                harness.assert_alone(utterance, number)
            running, paused = paused[:SLOTS], paused[SLOTS:]
            for _, utterance in running:
                engine.resume(utterance)
        harness.assert_empty()
    finally:
        harness.t3._lag = 0
        for _, utterance in running + paused:
            engine.drop(utterance)


def end_speech_at(harness: EngineHarness, token: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make T3 draw end of speech after `token` more tokens."""
    forward = harness.t3.front.speech_head.forward
    steps = iter(range(10_000))

    def ending(hidden: Any) -> Any:
        logits = forward(hidden)
        logits[:, EOS] = 1000.0 if next(steps) == token else -1000.0
        return logits

    monkeypatch.setattr(harness.t3.front.speech_head, "forward", ending)


def test_if_speech_ends_at_once_there_are_no_samples(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    end_speech_at(harness, 0, monkeypatch)
    utterance = harness.begin(0)
    harness.step()
    assert utterance.samples is not None
    assert utterance.samples.shape == (0,)
    assert utterance.samples.dtype == np.float32
    assert (utterance.complete, utterance.error) == (True, None)


def test_a_single_token_is_heard(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    end_speech_at(harness, 1, monkeypatch)
    utterance = harness.begin(0)
    samples = harness.finish(utterance)
    assert samples.shape == (960,)
    assert np.abs(samples).max() > 0.001
    assert utterance.complete


def test_an_utterance_knows_whether_it_is_complete(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = harness.begin(0)
    assert harness.finish(cut).shape == (960 * (TOKENS - 1),)
    assert not cut.complete
    end_speech_at(harness, TOKENS - 1, monkeypatch)
    whole = harness.begin(0)
    assert harness.finish(whole).shape == (960 * (TOKENS - 2),)
    assert whole.complete


def test_an_utterance_that_cannot_begin_occupies_no_slot(harness: EngineHarness) -> None:
    for error, other in (
        (UnknownVoice, {"voice": "nobody"}),
        (InvalidText, {"text": "  \n "}),
        (InvalidText, {"text": "ah, " * 800}),
    ):
        with pytest.raises(error):
            harness.begin(0, **other)
    harness.assert_empty()


def test_a_stage_is_timed_only_if_it_ends(harness: EngineHarness) -> None:
    def count(stage: str) -> float:
        return REGISTRY.get_sample_value("monica_stage_duration_seconds_count", {"stage": stage}) or 0

    before = [count(stage) for stage in ("t3", "s3gen", "watermark")]
    early, late = harness.begin(0), harness.begin(2)
    harness.step(TOKENS - 1)
    harness.engine.drop(early)
    harness.step(2)
    harness.engine.drop(late)
    harness.finish(harness.begin(0, params=SynthesisParams(max_tokens=1)))
    assert [count(stage) for stage in ("t3", "s3gen", "watermark")] == [before[0] + 2, before[1] + 1, before[2] + 1]
