"""What the registry knows of Pico. The library is never loaded into this process."""

from __future__ import annotations

from collections.abc import Iterator

from monica.config import Settings
from monica.engine.french_ipa import check_ipa
from monica.engine.pico.engine import VOICES, PicoEngine
from monica.engine.pico.process import find_installation
from monica.engine.registry import EngineSpec, Finding
from monica.engine.sentence_engine import examine_by_speaking


def installed() -> bool:
    return find_installation() is not None


def make_engine(settings: Settings) -> PicoEngine:
    return PicoEngine(settings)


def why_not(settings: Settings) -> str | None:
    """Return why Pico cannot speak here; None if it can."""
    if not installed():
        return "it has no package for this system"
    return None if settings.language in VOICES else f"it does not speak {settings.language}"


def examine(settings: Settings) -> Iterator[Finding]:
    """Speak a word."""
    return examine_by_speaking("pico", lambda: make_engine(settings))


SPEC = EngineSpec(
    name="pico",
    title="Pico",
    make=make_engine,
    examine=examine,
    work_per_sound={"cpu": 0.02},
    check_ipa=check_ipa,
    why_not=why_not,
    installed=installed,
)
