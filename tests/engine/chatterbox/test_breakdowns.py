"""What goes wrong in the engine ends the utterances it happened to; the others go on, and so does the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from monica.engine import Utterance
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.hift import HiFT
from monica.engine.chatterbox.llama import Llama
from monica.engine.chatterbox.s3gen import Decoder
from monica.engine.chatterbox.watermark import Watermark
from monica.errors import SynthesisFailed

from .house import TOKENS, House

OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory.")

Fail = Callable[[type, str, Exception], None]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Have a method throw, once."""

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
    ("owner", "method", "steps", "whose", "error"),
    [
        (Llama, "step", TOKENS, "saying", OUT_OF_MEMORY),
        (Decoder, "_mel", TOKENS - 1, "sounding", MemoryError()),
        (Estimator, "__call__", TOKENS + 1, "sounding", OUT_OF_MEMORY),
        (HiFT, "__call__", TOKENS + 2, "sounding", OUT_OF_MEMORY),
        (Watermark, "apply", TOKENS + 3, "sounding", OUT_OF_MEMORY),
    ],
)
def test_out_of_memory_ends_whom_it_was_for(
    house: House, fail: Fail, owner: type, method: str, steps: int, whose: str, error: Exception
) -> None:
    """One is paused in T3, one is paused in S3Gen, one is in S3Gen or will be at once, one has just been begun."""
    in_t3, in_s3gen = house.begin(4), house.begin(1)
    house.step()
    house.engine.pause(in_t3)
    house.step(TOKENS - 1)
    house.engine.pause(in_s3gen)
    sounding = house.begin(0)
    house.step(steps)
    saying = house.begin(2)

    fail(owner, method, error)
    house.step()
    both = {"saying": (2, saying), "sounding": (0, sounding)}
    _, ended = both.pop(whose)
    assert_no_memory(ended)
    ((number, other),) = both.values()
    house.assert_alone(other, number)
    for number, utterance in ((4, in_t3), (1, in_s3gen)):
        assert not utterance.done
        house.engine.resume(utterance)
        house.assert_alone(utterance, number)


def test_out_of_memory_in_t3_ends_all_that_it_says(house: House, fail: Fail) -> None:
    first, second = house.begin(0), house.begin(1)
    house.step()
    fail(Llama, "step", OUT_OF_MEMORY)
    house.step()
    assert_no_memory(first)
    assert_no_memory(second)
    house.assert_empty()
    house.assert_alone(house.begin(2), 2)


def test_out_of_memory_at_the_beginning_takes_no_slot(
    house: House, fail: Fail, caplog: pytest.LogCaptureFixture
) -> None:
    other = house.begin(1)
    fail(Llama, "prefill", OUT_OF_MEMORY)
    with pytest.raises(SynthesisFailed, match=r"not enough memory \(cpu\)"):
        house.begin(0)
    assert "out of memory: CUDA out of memory." in caplog.text
    assert len(house.t3.decoding) == 1
    house.assert_alone(house.begin(0), 0)
    house.assert_alone(other, 1)


def test_what_there_is_no_memory_to_keep_ends(house: House, fail: Fail) -> None:
    utterance, other = house.begin(0), house.begin(1)
    house.step()
    fail(Llama, "save", OUT_OF_MEMORY)
    house.engine.pause(utterance)
    assert_no_memory(utterance)
    house.engine.resume(utterance)
    house.assert_alone(other, 1)


def test_what_there_is_no_memory_to_go_on_with_stays_paused(house: House, fail: Fail) -> None:
    utterance = house.begin(0)
    house.step()
    house.engine.pause(utterance)
    fail(Llama, "restore", OUT_OF_MEMORY)
    with pytest.raises(SynthesisFailed, match=r"not enough memory \(cpu\)"):
        house.engine.resume(utterance)
    house.assert_alone(house.begin(1), 1)
    assert not utterance.done
    house.engine.resume(utterance)
    house.assert_alone(utterance, 0)


@pytest.mark.parametrize(("owner", "method", "steps"), [(Llama, "step", 1), (Estimator, "__call__", TOKENS)])
def test_whatever_else_is_thrown_comes_out_and_all_can_be_dropped(
    house: House, fail: Fail, owner: type, method: str, steps: int
) -> None:
    utterances = [house.begin(0), house.begin(2)]
    house.step(steps)
    fail(owner, method, RuntimeError("an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal"):
        house.step()
    for utterance in utterances:
        house.engine.drop(utterance)
    house.assert_empty()
    house.assert_alone(house.begin(1), 1)


def test_what_is_no_number_in_t3_ends_one_utterance(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = house.t3.front.speech_head.forward

    def damaged(hidden: torch.Tensor) -> Any:
        logits = forward(hidden)
        logits[:2] = torch.nan  # of the first slot
        return logits

    broken, other = house.begin(0), house.begin(1)
    house.step()
    with monkeypatch.context() as patch:
        patch.setattr(house.t3.front.speech_head, "forward", damaged)
        house.step()
    assert isinstance(broken.error, SynthesisFailed)
    assert "T3 gave no numbers" in str(broken.error)
    house.assert_alone(other, 1)


def test_what_is_no_number_in_s3gen_ends_one_utterance(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    vocode = HiFT.__call__
    broken, other = house.begin(0), house.begin(2)
    house.step(TOKENS)
    with monkeypatch.context() as patch:
        patch.setattr(HiFT, "__call__", lambda *arguments: vocode(*arguments).fill_(torch.nan))
        house.step()
    assert isinstance(broken.error, SynthesisFailed)
    assert "S3Gen gave no numbers" in str(broken.error)
    house.assert_alone(other, 2)
