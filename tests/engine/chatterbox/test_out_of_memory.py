"""Memory may run out wherever T3 allocates some: at every such place, only the takes that needed it end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from monica.engine import SynthesisParams, Utterance
from monica.engine.chatterbox import ChatterboxEngine
from monica.errors import SynthesisFailed

ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
)
MANY = 10
"""Places that each of the methods has at least."""


class Exhausted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Raises an error at the n-th operation that returns new memory, from 0."""

    def __init__(self, place: int, error: Exception) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._left = place
        self._error = error
        self.raised = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(
            result.alias_info is None and isinstance(result.type, torch.TensorType) for result in func._schema.returns
        ):
            if self._left == 0:
                self.raised = True
                raise self._error
            self._left -= 1
        return func(*args, **(kwargs or {}))


class Takes:
    """Takes that T3 has only begun."""

    def __init__(self, engine: ChatterboxEngine) -> None:
        self.engine = engine
        self._utterances = engine._loaded()
        self.t3 = self._utterances.model.t3

    def begin(self, seed: int) -> Utterance:
        params = SynthesisParams(max_tokens=9, cfg_weight=0.5 * (seed > 0))
        return self.engine.begin("Tapis !", voice="monica", params=params, seed=seed)

    def tokens(self, utterance: Utterance) -> list[int]:
        return self._utterances._progress[utterance].sequence.tokens

    def first_tokens(self) -> list[int]:
        """Return the first tokens of a take that begins now. Nothing is left of it."""
        utterance = self.begin(1)
        self.engine.step()
        self.engine.step()
        tokens = list(self.tokens(utterance))
        self.engine.drop(utterance)
        return tokens


@pytest.fixture(scope="module")
def takes(engine: ChatterboxEngine) -> Iterator[Takes]:
    takes = Takes(engine)
    yield takes
    assert takes.t3.running == []


@pytest.fixture(scope="module")
def expected(takes: Takes) -> list[int]:
    return takes.first_tokens()


def assert_no_memory(error: BaseException | None) -> None:
    assert isinstance(error, SynthesisFailed)
    assert str(error) == "There is not enough memory (cpu) for this sentence."


def each_place(work: Callable[[TorchDispatchMode], None], errors: tuple[Exception, ...] = ERRORS) -> int:
    """Run something with each place exhausted in turn. Returns how many there are."""
    for place in count():
        mode = Exhausted(place, errors[place % len(errors)])
        work(mode)
        if not mode.raised:
            return place
    raise AssertionError


def test_at_every_place_of_an_admission(takes: Takes, expected: list[int]) -> None:
    """Another take, which is in progress, gets the tokens it would have got."""

    def admit(mode: TorchDispatchMode) -> None:
        other = takes.begin(1)
        takes.engine.step()
        try:
            with mode:
                utterance = takes.begin(0)
        except SynthesisFailed as error:
            assert_no_memory(error)
            assert len(takes.t3.running) == 1
        else:
            takes.engine.drop(utterance)
        takes.engine.step()
        assert takes.tokens(other) == expected
        takes.engine.drop(other)

    assert each_place(admit) > MANY


def test_at_every_place_of_a_step(takes: Takes, expected: list[int]) -> None:
    """All takes in T3 end. The next one finds its slot as if they had never been there."""

    def step(mode: TorchDispatchMode) -> None:
        utterance = takes.begin(0)
        with mode:
            takes.engine.step()
        if utterance.done:
            assert_no_memory(utterance.error)
            assert takes.t3.running == []
        else:
            takes.engine.drop(utterance)
        assert takes.first_tokens() == expected

    assert each_place(step) > MANY


def test_at_every_place_of_a_pause(takes: Takes, expected: list[int]) -> None:
    """Only the take that was to be paused ends."""

    def pause(mode: TorchDispatchMode) -> None:
        utterance, other = takes.begin(0), takes.begin(1)
        takes.engine.step()
        with mode:
            takes.engine.pause(utterance)
        if utterance.done:
            assert_no_memory(utterance.error)
        assert len(takes.t3.running) == 1
        takes.engine.step()
        assert takes.tokens(other) == expected
        for each in (utterance, other):
            takes.engine.drop(each)

    assert each_place(pause) > MANY
