"""The spec of the third engine."""

from __future__ import annotations

from collections.abc import Iterator

from monica.config import Settings
from monica.engine.registry import EngineSpec, Finding
from tests.support.engines import ToyEngine
from tests.support.third import NAME


class ThirdEngine(ToyEngine):
    name = NAME


def make_engine(settings: Settings) -> ThirdEngine:
    return ThirdEngine()


def examine(settings: Settings) -> Iterator[Finding]:
    yield Finding("toy box", True, f"there is a toy that speaks {settings.language}")


def prefetch(settings: Settings) -> str:
    return "The toy is in its box"


SPEC = EngineSpec(
    name=NAME,
    title="The toy",
    make=make_engine,
    examine=examine,
    work_per_sound={"npu": 0.1},
    prefetch=prefetch,
    accelerators=frozenset({"npu"}),
)
