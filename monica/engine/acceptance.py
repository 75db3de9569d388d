"""What an engine contributes to `monica accept`, the examination of a machine on its first day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monica.engine import Engine, SynthesisParams

if TYPE_CHECKING:
    from monica.config import Settings

Tick = Callable[[float], None]
"""Called with the share of a part that is done, 0 to 1."""
Result = dict[str, Any]
"""What a part found, as JSON can hold it: no name of the machine, its users or its folders."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    takes: int = 200
    """Takes of the test of steadiness."""
    repeats: int = 5
    """How often the first sound is waited for."""
    sentences: int = 10
    """Sentences of the ear test."""
    max_tokens: int = 1000
    """Upper bound on the tokens of a take."""
    pace_steps: int = 100
    """Steps that each number of takes is measured over."""
    sound_tokens: tuple[int, ...] = (50, 100, 200)
    """The lengths of speech that the synthesis of sound is timed with."""
    copy_mib: int = 1024
    """Size of the copy that the memory's speed is measured with."""


QUICK = Plan(takes=3, repeats=1, sentences=2, max_tokens=4, pace_steps=3, sound_tokens=(4,), copy_mib=16)
"""Whether everything runs, in a minute. The figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to speak that the ear test compares with others."""

    name: str
    settings: Settings
    """What the engine that speaks it is made with."""
    params: SynthesisParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The parts of an examination that only an engine knows."""

    require: Callable[[Settings], None]
    """Raises ConfigError, with what to do, if the engine's files are not on this machine."""
    describe_device: Callable[[Settings, Plan], Result]
    """Describes the device and its state, and measures its memory. Raises ConfigError if it cannot be used."""
    measures: Mapping[str, Callable[[Engine, Plan, Tick], Result]]
    """What to measure on the loaded engine, by name."""
    used_memory: Callable[[], int | None]
    """Returns the bytes of the device's memory that this process holds; None if it has no memory of its own."""
    release: Callable[[], None]
    """Gives the memory of an engine that is gone back to the device, for the next one."""
    variants: Callable[[Settings], list[Variant]]
    """Returns what the ear test compares, the usual way first. What needs files that are not here is left out."""
    log: tuple[str, ...] = field(default=())
    """Beginnings of the log's lines during the start that belong into the report."""
