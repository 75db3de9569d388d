"""What the registry knows of Piper. Imports nothing heavy."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from monica.config import Settings
from monica.engine.french_ipa import check_ipa
from monica.engine.piper.engine import PiperEngine, why_not_spoken
from monica.engine.piper.files import download, find
from monica.engine.piper.voice_config import read_config
from monica.engine.registry import EngineSpec, Finding
from monica.engine.sentence_engine import examine_by_speaking
from monica.errors import ConfigError


def installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("onnxruntime", "onnx", "huggingface_hub"))


def make_engine(settings: Settings) -> PiperEngine:
    return PiperEngine(settings)


def why_not(settings: Settings) -> str | None:
    """Return why Piper cannot speak here, and what to do about it; None if it can."""
    if not installed():
        return f"it is not installed (for a better voice: {SPEC.install_command}, then monica prefetch)"
    try:
        files = find(settings)
        if files is None:
            return f"{settings.piper_voice} is not downloaded (for a better voice: monica prefetch)"
        return why_not_spoken(read_config(files.config), settings.language)
    except ConfigError as error:
        return str(error).rstrip(".")


def examine(settings: Settings) -> Iterator[Finding]:
    """Speak a word."""
    if not installed():
        yield Finding("piper", False, "not installed", f"Install it: {SPEC.install_command}")
        return
    yield from examine_by_speaking("piper", lambda: make_engine(settings), "Run: monica prefetch")


def prefetch(settings: Settings) -> str:
    """Download the voice. Returns where it is, and its licence. Raises ConfigError or ModelUnavailable."""
    SPEC.require_installed("prefetch")
    files = download(settings)
    return f"The voice {settings.piper_voice} is in {files.model.parent}; licence of its recordings: {files.license}"


SPEC = EngineSpec(
    name="piper",
    title="Piper",
    make=make_engine,
    examine=examine,
    work_per_sound={"cpu": 0.15},
    prefetch=prefetch,
    settings=frozenset({"MONICA_PIPER_VOICE"}),
    check_ipa=check_ipa,
    why_not=why_not,
    installed=installed,
    install_command="make install EXTRA=piper",
)
