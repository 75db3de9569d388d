"""How fast the warm-up's take was, and when the log warns."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from monica.engine import SynthesisParams
from monica.engine.chatterbox import ChatterboxEngine, pace
from monica.engine.chatterbox.pace import WarmUpPace, expected_pace, log_pace

from .conftest import TEXT


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def generate(meter: WarmUpPace, clock: Clock, sequence: Any, steps: int, seconds: float) -> list[float | None]:
    found = []
    for _ in range(steps):
        clock.now += seconds
        sequence.tokens.append(0)
        found.append(meter.note_step([sequence]))
    return found


def test_first_take_is_measured_from_its_first_token_to_its_last() -> None:
    clock = Clock()
    meter = WarmUpPace(clock)
    assert meter.note_step([]) is None
    clock.now += 60  # the prefill, or whatever came before
    sequence = SimpleNamespace(tokens=[])
    assert generate(meter, clock, sequence, 21, 0.05) == [None] * 21
    assert not meter.done
    clock.now += 9  # the step in which it left T3, for S3Gen
    assert meter.note_step([SimpleNamespace(tokens=[1, 2, 3])]) == pytest.approx(20)
    assert meter.done


def test_take_of_a_few_tokens_says_nothing() -> None:
    clock = Clock()
    meter = WarmUpPace(clock)
    generate(meter, clock, SimpleNamespace(tokens=[]), pace.MIN_TOKENS, 0.05)
    assert meter.note_step([]) is None
    assert meter.done


@pytest.mark.parametrize(
    ("name", "precision", "tokens_per_s", "warns"),
    [
        ("NVIDIA GB10", "bf16", 150.0, False),
        ("NVIDIA GB10", "bf16", 81.0, False),
        ("NVIDIA GB10", "bf16", 55.0, True),
        ("NVIDIA GB10", "fp32", 55.0, False),
        ("NVIDIA H200", "bf16", 200.0, True),
        ("NVIDIA H100 80GB HBM3", "bf16", 500.0, False),
        ("Intel(R) Xeon(R)", "fp32", 3.0, False),
    ],
)
def test_warns_far_below_what_is_expected_of_the_device(
    caplog: pytest.LogCaptureFixture, name: str, precision: str, tokens_per_s: float, warns: bool
) -> None:
    with caplog.at_level(logging.INFO):
        log_pace(tokens_per_s, name, precision)
    assert f"pace: T3 makes {tokens_per_s:.0f} tokens a second" in caplog.text
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == warns
    if warns:
        assert name in warnings[0]
        assert "low-power state" in warnings[0]


def test_unknown_device_is_not_judged() -> None:
    assert expected_pace("NVIDIA GeForce RTX 9090", "bf16") is None


def test_engine_logs_it_once(engine: ChatterboxEngine, caplog: pytest.LogCaptureFixture) -> None:
    engine._pace = WarmUpPace()
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            utterance = engine.begin(TEXT, voice="monica", params=SynthesisParams(), seed=0)
            for _ in range(pace.MIN_TOKENS + 2):
                engine.step()
            engine.drop(utterance)
            engine.step()
    assert caplog.text.count("tokens a second of one take in fp32") == 1
