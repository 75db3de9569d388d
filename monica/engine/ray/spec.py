"""What the registry knows of an engine behind Ray Serve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from monica.config import Settings
from monica.engine import SynthesisParams
from monica.engine.ray.engine import RayEngine
from monica.engine.registry import EngineSpec, Finding
from monica.errors import ConfigError, ModelUnavailable


def make_engine(settings: Settings) -> RayEngine:
    return RayEngine(settings)


def examine(settings: Settings) -> Iterator[Finding]:
    """Ask a replica who it is."""
    engine = make_engine(settings)
    try:
        engine.load()
    except (ConfigError, ModelUnavailable) as error:
        yield Finding("replicas", False, str(error), "See docs/ray.md.")
    else:
        yield Finding("replicas", True, f"{engine.model}, on {engine.device}")


SPEC = EngineSpec(
    name="ray",
    title="The engine on Ray Serve",
    make=make_engine,
    examine=examine,
    work_per_sound={"cuda": 0.2},
    parameters=frozenset(field.name for field in fields(SynthesisParams)),
    settings=frozenset({"MONICA_RAY_ADDRESS"}),
)
