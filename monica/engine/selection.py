"""Which engine speaks here."""

from __future__ import annotations

import logging

from monica.config import Settings
from monica.engine import Engine
from monica.engine.accelerator import accelerator
from monica.engine.registry import EMBEDDED, LAST_RESORT, engine_spec, engine_specs

logger = logging.getLogger(__name__)


def choose_engine(settings: Settings) -> Engine:
    """Make the engine that the settings ask for, not yet loaded. The log says which one, and why.

    Raises ConfigError if the engine that is named, or the one for the accelerator of this machine, is not installed.
    """
    name, why = choose_name(settings)
    spec = engine_spec(name)
    if name in EMBEDDED:
        logger.info("engine: %s, an embedded voice; it is not Monica's cloned voice (%s)", name, why)
    else:
        logger.info("engine: %s (%s)", name, why)
    spec.require_installed(why)
    return spec.make(settings)


def choose_name(settings: Settings) -> tuple[str, str]:
    """Return the name of the engine that the settings ask for, and the reason."""
    if settings.engine == "auto":
        return _choose_for_device(settings)
    return settings.engine, f"MONICA_ENGINE={settings.engine}"


def _choose_for_device(settings: Settings) -> tuple[str, str]:
    """Return the name of the engine for the accelerator that is here, or of an embedded one; and the reason."""
    # Not looked for if MONICA_DEVICE=cpu: looking initialises CUDA.
    found = accelerator() if settings.device != "cpu" else None
    for spec in engine_specs() if found else ():
        if found in spec.accelerators:
            return spec.name, f"auto: {found} is here"
    name, passed_over = choose_embedded(settings)
    return name, "; ".join(["auto: neither CUDA nor MPS is here, or MONICA_DEVICE=cpu", *passed_over])


def choose_embedded(settings: Settings) -> tuple[str, list[str]]:
    """Return the best embedded engine that can speak here, and why each better one cannot."""
    passed_over: list[str] = []
    for spec in map(engine_spec, EMBEDDED):
        why_not = spec.why_not(settings)
        if why_not is None:
            return spec.name, passed_over
        passed_over.append(f"not {spec.name}: {why_not}")
    return LAST_RESORT, passed_over
