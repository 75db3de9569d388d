"""Which engine speaks here."""

from __future__ import annotations

import importlib.util
import logging

from monica.config import Settings
from monica.engine import Engine
from monica.engine.accelerator import accelerator
from monica.errors import ConfigError

logger = logging.getLogger(__name__)

INSTALL_CHATTERBOX = "install it with: make install EXTRA=chatterbox"


def chatterbox_installed() -> bool:
    return importlib.util.find_spec("chatterbox") is not None and importlib.util.find_spec("torch") is not None


def require_chatterbox(why: str) -> None:
    """Raise ConfigError where Chatterbox is not installed. why: who needs it."""
    if not chatterbox_installed():
        raise ConfigError(f"Chatterbox is not installed ({why}); {INSTALL_CHATTERBOX}, or set MONICA_ENGINE=espeak.")


def choose_engine(settings: Settings) -> Engine:
    """Make the engine the settings ask for, not yet loaded, and say in the log which and why.

    Raises ConfigError where Chatterbox is asked for, or its device is here, and it is not installed.
    """
    name, why = settings.engine, f"MONICA_ENGINE={settings.engine}"
    if name == "auto":
        found = accelerator() if settings.device in ("auto", "cuda", "mps") else None
        name = "chatterbox" if found else "espeak"
        why = f"auto: {found} is here" if found else "auto: neither CUDA nor MPS is here, or MONICA_DEVICE=cpu"
    if name == "espeak":
        logger.info("engine: espeak, the embedded voice; it is not Monica's cloned voice (%s)", why)
        from monica.engine.espeak import EspeakEngine

        return EspeakEngine(settings)
    logger.info("engine: chatterbox (%s)", why)
    require_chatterbox(why)
    from monica.engine.chatterbox import ChatterboxEngine

    return ChatterboxEngine(settings)
