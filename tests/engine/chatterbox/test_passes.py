"""S3Gen pass by pass: takes in progress together equal each one alone, even if some are abandoned."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.single_take import run_passes
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.s3gen import Token2Wav

from .conftest import load_shallow
from .tape import TapeGraphs
from .test_s3gen import TOKENS, speak

Synthesis = Generator[None, None, Tensor]
PASSES = 4  # the encoder, two Euler steps, the vocoder


def begin(token2wav: Token2Wav, voice: Conditionals, tokens: Tensor = TOKENS, *, seed: int = 7) -> Synthesis:
    return token2wav.synthesize(tokens, voice, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["eager", "bucketed"])
def either(request: pytest.FixtureRequest, token2wav: Token2Wav, bucketed: Token2Wav, small_buckets: None) -> Token2Wav:
    """An S3Gen whose takes have an EulerStep each, then one whose takes share one: all takes here are of one bucket."""
    return token2wav if request.param == "eager" else bucketed


def test_a_pass_contains_at_most_one_euler_step(
    token2wav: Token2Wav, voice: Conditionals, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [0]
    call = Estimator.__call__

    def counted_call(self: Estimator, *inputs: Any) -> Tensor:
        steps[-1] += 1
        return call(self, *inputs)

    monkeypatch.setattr(Estimator, "__call__", counted_call)
    for _ in begin(token2wav, voice):
        steps.append(0)
    assert steps == [0, *[1] * 10, 0]


def test_between_two_passes_inference_mode_is_off(token2wav: Token2Wav, voice: Conditionals, two_steps: None) -> None:
    synthesis = begin(token2wav, voice)
    for _ in range(PASSES - 1):
        next(synthesis)
        assert not torch.is_inference_mode_enabled()
    synthesis.close()
    assert not torch.is_inference_mode_enabled()


def test_a_take_interrupted_by_another_is_unchanged(either: Token2Wav, voice: Conditionals, two_steps: None) -> None:
    expected, other = speak(either, voice), speak(either, voice, TOKENS[:5], seed=1)
    for passes in range(1, PASSES):
        synthesis = begin(either, voice)
        for _ in range(passes):
            next(synthesis)
        assert torch.equal(speak(either, voice, TOKENS[:5], seed=1), other)
        assert torch.equal(run_passes(synthesis), expected)


def test_takes_may_alternate_pass_by_pass(either: Token2Wav, voice: Conditionals, two_steps: None) -> None:
    expected = [speak(either, voice, TOKENS[:count], seed=count) for count in (6, 5, 4)]
    syntheses = [begin(either, voice, TOKENS[:count], seed=count) for count in (6, 5, 4)]
    for _ in range(PASSES - 1):
        for synthesis in syntheses:
            next(synthesis)
    for synthesis, alone in zip(syntheses, expected, strict=True):
        assert torch.equal(run_passes(synthesis), alone)


def test_takes_abandoned_at_any_pass_leave_nothing_behind(
    either: Token2Wav, voice: Conditionals, two_steps: None
) -> None:
    expected = speak(either, voice)
    for passes in range(PASSES):
        synthesis = begin(either, voice, seed=passes)
        for _ in range(passes):
            next(synthesis)
        synthesis.close()
    assert torch.equal(speak(either, voice), expected)


def test_values_not_finite_stay_within_their_take(
    bucketed: Token2Wav, voice: Conditionals, two_steps: None, small_buckets: None
) -> None:
    """They are a longer take's, in frames that are padding for the next one."""
    expected = speak(bucketed, voice, TOKENS[:5])
    broken = begin(bucketed, voice, TOKENS, seed=1)
    next(broken)
    estimator = bucketed.solver.estimator
    kept = estimator._final._norm._bias.clone()
    with torch.no_grad():
        estimator._final._norm._bias.fill_(torch.nan)
        next(broken)
        estimator._final._norm._bias.copy_(kept)
    assert torch.equal(speak(bucketed, voice, TOKENS[:5]), expected)
    assert run_passes(broken).isnan().any()


def test_one_captured_step_serves_two_alternating_takes(
    checkpoint_dir: Path, token2wav: Token2Wav, voice: Conditionals, two_steps: None, small_buckets: None
) -> None:
    graphs = TapeGraphs()
    captured = Token2Wav(load_shallow(checkpoint_dir), graphs=graphs)
    captured.warm_up()
    first, second = begin(captured, voice), begin(captured, voice, TOKENS[:5], seed=1)
    for _ in range(PASSES - 1):
        next(first)
        next(second)
    torch.testing.assert_close(run_passes(second), speak(token2wav, voice, TOKENS[:5], seed=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(run_passes(first), speak(token2wav, voice), atol=1e-5, rtol=0)
    assert (len(graphs.names), graphs.captured, len(graphs.replayed)) == (4, 4, 4)
