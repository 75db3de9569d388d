"""A failure in the engine ends only the affected utterances. The others and the engine continue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from monica.engine import Utterance
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.hift import HiFT
from monica.engine.chatterbox.llama import Llama
from monica.engine.chatterbox.s3gen import Token2Wav
from monica.engine.chatterbox.watermark import Watermark
from monica.errors import SynthesisFailed

from .engine_harness import TOKENS, EngineHarness

OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory.")

Fail = Callable[[type, str, Exception], None]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Make a method raise an error, once."""

    def install(owner: type, name: str, error: Exception) -> None:
        method = getattr(owner, name)

        def failing(*_: object) -> Any:
            monkeypatch.setattr(owner, name, method)
            raise error

        monkeypatch.setattr(owner, name, failing)

    return install


def assert_no_memory(utterance: Utterance) -> None:
    assert isinstance(utterance.error, SynthesisFailed)
    assert str(utterance.error) == "There is not enough memory (cpu) for this sentence."
    assert (utterance.done, utterance.samples) == (True, None)


@pytest.mark.parametrize(
    ("owner", "method", "steps", "affected", "error"),
    [
        (Llama, "step", TOKENS, "generating", OUT_OF_MEMORY),
        (Token2Wav, "_predict_mel", TOKENS - 1, "synthesizing", MemoryError()),
        (Estimator, "__call__", TOKENS + 1, "synthesizing", OUT_OF_MEMORY),
        (HiFT, "__call__", TOKENS + 2, "synthesizing", OUT_OF_MEMORY),
        (Watermark, "apply", TOKENS + 3, "synthesizing", OUT_OF_MEMORY),
    ],
)
def test_out_of_memory_ends_only_the_affected_utterance(
    harness: EngineHarness, fail: Fail, owner: type, method: str, steps: int, affected: str, error: Exception
) -> None:
    """One is paused in T3, one is paused in S3Gen, one is in S3Gen or about to be, one has just begun."""
    in_t3, in_s3gen = harness.begin(4), harness.begin(1)
    harness.step()
    harness.engine.pause(in_t3)
    harness.step(TOKENS - 1)
    harness.engine.pause(in_s3gen)
    synthesizing = harness.begin(0)
    harness.step(steps)
    generating = harness.begin(2)

    fail(owner, method, error)
    harness.step()
    both = {"generating": (2, generating), "synthesizing": (0, synthesizing)}
    _, ended = both.pop(affected)
    assert_no_memory(ended)
    ((number, other),) = both.values()
    harness.assert_alone(other, number)
    for number, utterance in ((4, in_t3), (1, in_s3gen)):
        assert not utterance.done
        harness.engine.resume(utterance)
        harness.assert_alone(utterance, number)


def test_out_of_memory_in_t3_ends_every_utterance_in_the_batch(harness: EngineHarness, fail: Fail) -> None:
    first, second = harness.begin(0), harness.begin(1)
    harness.step()
    fail(Llama, "step", OUT_OF_MEMORY)
    harness.step()
    assert_no_memory(first)
    assert_no_memory(second)
    harness.assert_empty()
    harness.assert_alone(harness.begin(2), 2)


def test_out_of_memory_in_begin_leaves_no_slot_occupied(
    harness: EngineHarness, fail: Fail, caplog: pytest.LogCaptureFixture
) -> None:
    other = harness.begin(1)
    fail(Llama, "prefill", OUT_OF_MEMORY)
    with pytest.raises(SynthesisFailed, match=r"not enough memory \(cpu\)"):
        harness.begin(0)
    assert "out of memory: CUDA out of memory." in caplog.text
    assert len(harness.t3.running) == 1
    harness.assert_alone(harness.begin(0), 0)
    harness.assert_alone(other, 1)


def test_out_of_memory_while_pausing_ends_the_utterance(harness: EngineHarness, fail: Fail) -> None:
    utterance, other = harness.begin(0), harness.begin(1)
    harness.step()
    fail(Llama, "save_rows", OUT_OF_MEMORY)
    harness.engine.pause(utterance)
    assert_no_memory(utterance)
    harness.engine.resume(utterance)
    harness.assert_alone(other, 1)


def test_out_of_memory_while_resuming_leaves_the_utterance_paused(harness: EngineHarness, fail: Fail) -> None:
    utterance = harness.begin(0)
    harness.step()
    harness.engine.pause(utterance)
    fail(Llama, "restore_rows", OUT_OF_MEMORY)
    with pytest.raises(SynthesisFailed, match=r"not enough memory \(cpu\)"):
        harness.engine.resume(utterance)
    harness.assert_alone(harness.begin(1), 1)
    assert not utterance.done
    harness.engine.resume(utterance)
    harness.assert_alone(utterance, 0)


@pytest.mark.parametrize(("owner", "method", "steps"), [(Llama, "step", 1), (Estimator, "__call__", TOKENS)])
def test_other_errors_propagate_and_everything_can_be_dropped(
    harness: EngineHarness, fail: Fail, owner: type, method: str, steps: int
) -> None:
    utterances = [harness.begin(0), harness.begin(2)]
    harness.step(steps)
    fail(owner, method, RuntimeError("an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal"):
        harness.step()
    for utterance in utterances:
        harness.engine.drop(utterance)
    harness.assert_empty()
    harness.assert_alone(harness.begin(1), 1)


def test_values_not_finite_in_t3_end_one_utterance(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = harness.t3.front.speech_head.forward

    def damaged(hidden: torch.Tensor) -> Any:
        logits = forward(hidden)
        logits[:2] = torch.nan  # the first slot
        return logits

    broken, other = harness.begin(0), harness.begin(1)
    harness.step()
    with monkeypatch.context() as patch:
        patch.setattr(harness.t3.front.speech_head, "forward", damaged)
        harness.step()
    assert isinstance(broken.error, SynthesisFailed)
    assert "T3 produced values that are not finite" in str(broken.error)
    harness.assert_alone(other, 1)


def test_values_not_finite_in_s3gen_end_one_utterance(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    vocode = HiFT.__call__
    broken, other = harness.begin(0), harness.begin(2)
    harness.step(TOKENS)
    with monkeypatch.context() as patch:
        patch.setattr(HiFT, "__call__", lambda *arguments: vocode(*arguments).fill_(torch.nan))
        harness.step()
    assert isinstance(broken.error, SynthesisFailed)
    assert "S3Gen produced values that are not finite" in str(broken.error)
    harness.assert_alone(other, 2)
