"""Finds and downloads the recogniser's weights. They are pinned to a commit; only prefetch asks the hub."""

from __future__ import annotations

import importlib.util
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from monica.config import Settings
from monica.errors import ConfigError, ModelUnavailable, MonicaError

logger = logging.getLogger(__name__)

PACKAGE = "faster_whisper"
FILES = ("model.bin", "config.json", "tokenizer.json")
"""Files that every model has. The vocabulary is a .txt or a .json, the features of newer ones are in a file too."""
PATTERNS = [*FILES, "vocabulary.*", "preprocessor_config.json"]


@dataclass(frozen=True, slots=True)
class Published:
    """A model on the hub, at the commit that is used."""

    repository: str
    revision: str
    size: int
    """Bytes of its weights."""


MODELS = {
    "base": Published("Systran/faster-whisper-base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66", 145_217_532),
    "small": Published("Systran/faster-whisper-small", "536b0662742c02347bc0e980a01041f333bce120", 483_546_902),
    "large-v3-turbo": Published(
        "mobiuslabsgmbh/faster-whisper-large-v3-turbo", "0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf", 1_617_884_929
    ),
}
LARGE, SMALL = "large-v3-turbo", "small"
ROOM_BYTES = 24 * 2**30
"""Memory from which the large model is the default: a server's, not a laptop's."""
WORKING_BYTES = 2**30
"""Memory for a take's encoding and the libraries, beyond the weights. These are there twice while they are loaded."""


class ListeningUnavailable(MonicaError):
    """Nothing can be listened to here: the extra `listen` is not installed, or its model is not there."""

    status, code = 409, "listening_unavailable"


def installed() -> bool:
    """Return whether the extra `listen` is installed, without importing it."""
    return importlib.util.find_spec(PACKAGE) is not None


def model_name(settings: Settings) -> str:
    """Return the name or path of the model: the setting's, or the largest that suits this machine."""
    if settings.listen_model is not None:
        return settings.listen_model
    return LARGE if _memory("SC_PHYS_PAGES") >= ROOM_BYTES else SMALL


def find_model(settings: Settings) -> Path:
    """Return the folder of the model. Raises ListeningUnavailable with one line that says what to do."""
    if not installed():
        raise ListeningUnavailable("The extra `listen` is not installed: uv sync --extra listen.")
    name = model_name(settings)
    folder = _find_published(name) if name in MODELS else Path(name).expanduser()
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        advice = "give a folder that has the files, or the name of a model: " + ", ".join(MODELS)
        raise ListeningUnavailable(f"MONICA_LISTEN_MODEL={name!r} lacks {', '.join(missing)}: {advice}.")
    need = 2 * (folder / "model.bin").stat().st_size + WORKING_BYTES
    if (free := free_memory()) < need:
        raise ListeningUnavailable(
            f"MONICA_LISTEN_MODEL={name!r} needs {need / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are "
            "free: choose a smaller model."
        )
    return folder


def _find_published(name: str) -> Path:
    """Return the folder of a model in the hub's cache. Importing the hub's library to find it would take a second."""
    model = MODELS[name]
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    folder = cache / f"models--{model.repository.replace('/', '--')}" / "snapshots" / model.revision
    if not (folder / FILES[0]).is_file():
        raise ListeningUnavailable(f"The model {name!r} is not here yet: monica prefetch downloads it.")
    return folder


def prefetch(settings: Settings) -> str:
    """Download the model, unless the setting is a path. Returns a sentence that says where it is.

    Raises ConfigError or ModelUnavailable.
    """
    from huggingface_hub import errors, snapshot_download

    name = model_name(settings)
    if name not in MODELS:
        try:
            return f"The listener's model is in {find_model(settings)}."
        except ListeningUnavailable as error:
            raise ConfigError(error.message) from error
    model = MODELS[name]
    try:
        folder = snapshot_download(model.repository, revision=model.revision, allow_patterns=PATTERNS)
    except (OSError, errors.HTTPError) as error:  # type: ignore[attr-defined]  # httpx's or httpx2's
        raise ModelUnavailable(
            f"{model.repository} cannot be downloaded from the hub ({type(error.__cause__ or error).__name__}). "
            "Check the network, or set MONICA_LISTEN_MODEL to a folder that has the model."
        ) from error
    return f"The listener's model {name} is in {folder}."


def free_memory() -> int:
    """Return the bytes of memory that could be used now."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return _memory("SC_PHYS_PAGES")


def _memory(pages: str) -> int:
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
