"""Finding and downloading the two files of a voice. The hub is never asked about files that are on disk."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from monica.config import Settings
from monica.engine.piper.published import PUBLISHED, REPOSITORY, REVISION, PublishedVoice
from monica.errors import ConfigError, ModelUnavailable

UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
"""Errors that come from the disk, never from the hub."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VoiceFiles:
    """The files of one voice."""

    model: Path
    config: Path
    license: str
    """The licence of the recordings that it learned from; of a folder, what its MODEL_CARD says."""
    published: PublishedVoice | None = None
    """What the files must be; None for a folder."""

    def digest(self) -> str:
        """Return the SHA-256 of both files. Raises ConfigError if they are not the published ones, or unreadable."""
        sums = [_sha256(path) for path in (self.model, self.config)]
        if self.published is not None and sums != list(self.published.files.values()):
            raise ConfigError(f"{self.model.name} or its configuration is not the published file. Run: monica prefetch")
        return hashlib.sha256(" ".join(sums).encode()).hexdigest()


def find(settings: Settings) -> VoiceFiles | None:
    """Find the files of MONICA_PIPER_VOICE on this machine. Returns None if they would have to be downloaded.

    Raises ConfigError if it is neither a published voice nor a folder with a voice.
    """
    published = PUBLISHED.get(settings.piper_voice)
    if published is None:
        return _in_folder(settings.piper_voice)
    # The hub's try_to_load_from_cache would take half a second of every start, to come to the same.
    from huggingface_hub.constants import HF_HUB_CACHE

    snapshot = Path(HF_HUB_CACHE, f"models--{REPOSITORY.replace('/', '--')}", "snapshots", REVISION)
    model, config = (snapshot / name for name in published.files)
    if not (model.is_file() and config.is_file()):
        return None
    return VoiceFiles(model, config, published.license, published)


def download(settings: Settings) -> VoiceFiles:
    """Download the files into the hub's cache, with its progress bars, and check them.

    An interrupted download continues where it stopped; files that are already there are not fetched again, and those
    that are not what was published are removed. Raises ConfigError if MONICA_PIPER_VOICE names no published voice,
    ModelUnavailable if the download fails.
    """
    published = PUBLISHED.get(settings.piper_voice)
    if published is None:
        raise ConfigError(
            f"MONICA_PIPER_VOICE={settings.piper_voice!r} is not one of the voices that can be downloaded "
            f"({', '.join(PUBLISHED)}): nothing is."
        )
    model, config = (_download_file(name, sha256) for name, sha256 in published.files.items())
    return VoiceFiles(model, config, published.license, published)


def _download_file(name: str, sha256: str) -> Path:
    from huggingface_hub import errors, hf_hub_download

    logger.info("piper: fetching %s of %s (%s)", name, REPOSITORY, REVISION)
    try:
        path = Path(hf_hub_download(REPOSITORY, name, revision=REVISION))
    except (OSError, errors.HTTPError, errors.RepositoryNotFoundError) as error:  # type: ignore[attr-defined]
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            raise ModelUnavailable(
                f"{name} cannot be put into the hub's cache: {error.strerror}. Let Monica write in HF_HOME."
            ) from error
        raise ModelUnavailable(
            f"{name} cannot be downloaded from the hub ({type(error.__cause__ or error).__name__}). Check the network, "
            "or set MONICA_PIPER_VOICE to a folder that has a voice."
        ) from error
    found = _sha256(path)
    if found != sha256:
        path.resolve().unlink()  # the cache has links to what it keeps
        path.unlink(missing_ok=True)
        raise ModelUnavailable(
            f"{name} from the hub has the checksum {found[:12]} instead of {sha256[:12]}: it is removed. Try again, "
            "and if it stays like that, do not trust this hub."
        )
    return path


def _in_folder(name: str) -> VoiceFiles:
    """Find the one voice in a folder. Raises ConfigError."""
    folder = Path(os.path.expandvars(name)).expanduser()
    shown = f"MONICA_PIPER_VOICE={name!r}"
    try:
        models = sorted(folder.glob("*.onnx")) if folder.is_dir() else None
    except OSError as error:
        raise ConfigError(f"{shown} cannot be read: {error.strerror}.") from error
    if models is None:
        raise ConfigError(f"{shown} is neither a folder nor one of {', '.join(PUBLISHED)}.")
    if len(models) != 1:
        raise ConfigError(f"{shown} holds {len(models)} voices: there must be one file .onnx, and its .onnx.json.")
    config = models[0].with_name(f"{models[0].name}.json")
    if not config.is_file():
        raise ConfigError(f"{shown} lacks {config.name}, the configuration that is published with the voice.")
    return VoiceFiles(models[0], config, _license_in(folder / "MODEL_CARD"))


def _license_in(card: Path) -> str:
    """Return the licence that a MODEL_CARD states; "unknown" if there is none."""
    try:
        lines = card.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    stated = [line.partition(":")[2].strip() for line in lines if line.lower().lstrip(" *-").startswith("licen")]
    return next(filter(None, stated), "unknown")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
