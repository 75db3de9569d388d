"""Which errors of the device end the process, and which only a piece of work."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from monica.config import Settings
from monica.engine import SynthesisParams, Utterance
from monica.engine.chatterbox import ChatterboxEngine
from monica.engine.torch.lost import report_lost_device
from monica.errors import DeviceLost

ILLEGAL = (
    "CUDA error: an illegal memory access was encountered\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be "
    "incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1"
)


def test_broken_context_is_a_lost_device_and_the_cause_stays_with_it() -> None:
    cause = torch.AcceleratorError(ILLEGAL)
    with pytest.raises(DeviceLost) as caught, report_lost_device():
        raise cause
    assert str(caught.value) == (
        "The device failed, and is lost to this process: CUDA error: an illegal memory access was encountered."
    )
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be ..."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        ValueError("no such thing"),
    ],
    ids=["allocator", "driver", "cublas", "not the device"],
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, report_lost_device():
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("make_conditionals", [None]),
        ("begin", ["Bonjour."]),
        ("step", []),
        ("pause", [Utterance()]),
        ("resume", [Utterance()]),
        ("drop", [Utterance()]),
    ],
)
def test_engine_tells_it_from_every_method(method: str, arguments: list[Any]) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.AcceleratorError(ILLEGAL)

    engine = ChatterboxEngine(Settings())
    broken: Any = SimpleNamespace(
        begin=fail, step=fail, pause=fail, resume=fail, drop=fail, model=SimpleNamespace(encode_voice=fail)
    )
    engine._utterances = broken
    engine._voices = {"monica": broken}
    options = {"voice": "monica", "params": SynthesisParams(), "seed": 0} if method == "begin" else {}
    with pytest.raises(DeviceLost):
        getattr(engine, method)(*arguments, **options)


def test_engine_tells_it_while_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ChatterboxEngine(Settings())

    def fail() -> None:
        raise torch.AcceleratorError(ILLEGAL)

    monkeypatch.setattr(engine, "_load", fail)
    with pytest.raises(DeviceLost):
        engine.load()
