"""S3Gen stage by stage: takes on their way side by side are what each is alone, wherever they are left."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.s3gen import Decoder

from .conftest import load_shallow
from .tape import TapeGraphs
from .test_s3gen import TOKENS, speak

Sounding = Generator[None, None, Tensor]
STAGES = 4  # the encoder, two Euler steps, the vocoder


def begin(decoder: Decoder, voice: Conditionals, tokens: Tensor = TOKENS, *, seed: int = 7) -> Sounding:
    return decoder.sound(tokens, voice, generator=torch.Generator().manual_seed(seed))


def finish(sounding: Sounding) -> Tensor:
    while True:
        try:
            next(sounding)
        except StopIteration as last:
            samples: Tensor = last.value
            return samples


@pytest.fixture(params=["eager", "bucketed"])
def either(request: pytest.FixtureRequest, decoder: Decoder, bucketed: Decoder, small_buckets: None) -> Decoder:
    """Return a decoder whose takes have a state each, then one whose takes share it: all here are of one bucket."""
    return decoder if request.param == "eager" else bucketed


def test_a_stage_holds_one_euler_step_at_most(
    decoder: Decoder, voice: Conditionals, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [0]
    call = Estimator.__call__

    def called(self: Estimator, *inputs: Any) -> Tensor:
        steps[-1] += 1
        return call(self, *inputs)

    monkeypatch.setattr(Estimator, "__call__", called)
    for _ in begin(decoder, voice):
        steps.append(0)
    assert steps == [0, *[1] * 10, 0]


def test_between_two_stages_torch_is_as_it_was(decoder: Decoder, voice: Conditionals, two_steps: None) -> None:
    sounding = begin(decoder, voice)
    for _ in range(STAGES - 1):
        next(sounding)
        assert not torch.is_inference_mode_enabled()
    sounding.close()
    assert not torch.is_inference_mode_enabled()


def test_a_take_goes_on_after_another_as_if_it_had_been_alone(
    either: Decoder, voice: Conditionals, two_steps: None
) -> None:
    expected, other = speak(either, voice), speak(either, voice, TOKENS[:5], seed=1)
    for stage in range(1, STAGES):
        sounding = begin(either, voice)
        for _ in range(stage):
            next(sounding)
        assert torch.equal(speak(either, voice, TOKENS[:5], seed=1), other)
        assert torch.equal(finish(sounding), expected)


def test_takes_stage_by_stage_in_turn(either: Decoder, voice: Conditionals, two_steps: None) -> None:
    expected = [speak(either, voice, TOKENS[:count], seed=count) for count in (6, 5, 4)]
    soundings = [begin(either, voice, TOKENS[:count], seed=count) for count in (6, 5, 4)]
    for _ in range(STAGES - 1):
        for sounding in soundings:
            next(sounding)
    for sounding, alone in zip(soundings, expected, strict=True):
        assert torch.equal(finish(sounding), alone)


def test_takes_left_at_any_stage_leave_nothing(either: Decoder, voice: Conditionals, two_steps: None) -> None:
    expected = speak(either, voice)
    for stage in range(STAGES):
        sounding = begin(either, voice, seed=stage)
        for _ in range(stage):
            next(sounding)
        sounding.close()
    assert torch.equal(speak(either, voice), expected)


def test_what_is_no_number_stays_with_its_take(
    bucketed: Decoder, voice: Conditionals, two_steps: None, small_buckets: None
) -> None:
    """A longer take's, in frames that the next one only pads."""
    expected = speak(bucketed, voice, TOKENS[:5])
    broken = begin(bucketed, voice, TOKENS, seed=1)
    next(broken)
    estimator = bucketed.solver._estimator
    kept = estimator._final._norm._bias.clone()
    with torch.no_grad():
        estimator._final._norm._bias.fill_(torch.nan)
        next(broken)
        estimator._final._norm._bias.copy_(kept)
    assert torch.equal(speak(bucketed, voice, TOKENS[:5]), expected)
    assert finish(broken).isnan().any()


def test_a_captured_step_serves_two_takes_in_turn(
    checkpoint_dir: Path, decoder: Decoder, voice: Conditionals, two_steps: None, small_buckets: None
) -> None:
    graphs = TapeGraphs()
    captured = Decoder(load_shallow(checkpoint_dir), graphs=graphs)
    captured.warm_up()
    first, second = begin(captured, voice), begin(captured, voice, TOKENS[:5], seed=1)
    for _ in range(STAGES - 1):
        next(first)
        next(second)
    torch.testing.assert_close(finish(second), speak(decoder, voice, TOKENS[:5], seed=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(finish(first), speak(decoder, voice), atol=1e-5, rtol=0)
    assert (len(graphs.names), graphs.captured, graphs.replays) == (4, 4, 4)
