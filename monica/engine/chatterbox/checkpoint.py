"""Finding and downloading the five files of a checkpoint. The hub is never asked about files that are on disk."""

from __future__ import annotations

import errno
import logging
from dataclasses import astuple, dataclass
from pathlib import Path

from monica.config import Settings
from monica.errors import ConfigError, ModelUnavailable

REPOSITORY = "ResembleAI/chatterbox"
UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
"""Errors that come from the disk, never from the hub."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The paths of the files of one checkpoint. If they come from the hub, all are of the same commit."""

    voice_encoder: Path
    t3: Path
    s3gen: Path
    tokenizer: Path
    conditionals: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        return astuple(self)


def file_names(t3: str) -> tuple[str, ...]:
    """Return the names of the files in the order of Checkpoint's fields. t3: `v2` or `v3`."""
    return (
        "ve.pt",
        f"t3_mtl23ls_{t3}.safetensors",
        "s3gen.pt",
        "grapheme_mtl_merged_expanded_v1.json",
        "conds.pt",
    )


def locate(settings: Settings, *, cache_dir: Path | None = None, endpoint: str | None = None) -> Checkpoint:
    """Find the checkpoint that the settings name, and download it only if one of its files is missing.

    cache_dir, endpoint: None for the hub library's own.
    Raises ConfigError if the folder or the revision is wrong, ModelUnavailable if the hub cannot be reached or the
    files cannot be written.
    """
    return find(settings, cache_dir=cache_dir) or download(settings, cache_dir=cache_dir, endpoint=endpoint)


def find(settings: Settings, *, cache_dir: Path | None = None) -> Checkpoint | None:
    """Find the checkpoint on this machine. Returns None if any of its files would have to be downloaded.

    Raises ConfigError if MONICA_MODEL_DIR is set and lacks a file.
    """
    if settings.model_dir is not None:
        return _in_folder(settings.model_dir, settings.t3)
    return _in_cache(settings, cache_dir)


def download(settings: Settings, *, cache_dir: Path | None = None, endpoint: str | None = None) -> Checkpoint:
    """Download the newest files of the settings' revision into the hub's cache, with the hub's progress bars.

    An interrupted download continues where it stopped; files that are already there are not fetched again.
    Raises as `locate` does.
    """
    from huggingface_hub import errors, hf_hub_download  # here: it takes a second, and MODEL_DIR needs none of it

    revision = settings.model_revision
    paths = []
    for name in file_names(settings.t3):
        logger.info("checkpoint: fetching %s of %s (%s)", name, REPOSITORY, revision)
        try:
            path = hf_hub_download(REPOSITORY, name, revision=revision, cache_dir=cache_dir, endpoint=endpoint)
        except (errors.RevisionNotFoundError, errors.HFValidationError) as error:
            raise ConfigError(
                f"MONICA_MODEL_REVISION={settings.model_revision!r}: {REPOSITORY} has no such revision."
            ) from error
        except errors.RemoteEntryNotFoundError as error:
            raise ConfigError(
                f"{REPOSITORY} has no {name} at revision {settings.model_revision!r}: "
                "set MONICA_T3 or MONICA_MODEL_REVISION to what it has."
            ) from error
        except (OSError, errors.HTTPError) as error:  # type: ignore[attr-defined]  # httpx's or httpx2's
            if isinstance(error, OSError) and error.errno in UNWRITABLE:
                raise ModelUnavailable(
                    f"{name} cannot be put into the hub's cache: {error.strerror}. Let Monica write in HF_HOME, and "
                    "give her 4 GB there, or set MONICA_MODEL_DIR to a folder that has the checkpoint."
                ) from error
            raise ModelUnavailable(
                f"{name} cannot be downloaded from the hub ({type(error.__cause__ or error).__name__}). "
                "Check the network, or set MONICA_MODEL_DIR to a folder that has the checkpoint."
            ) from error
        paths.append(Path(path))
        # A branch may move between two downloads, so the other files are taken from the first one's commit.
        revision = paths[0].parent.name
    return Checkpoint(*paths)


def _in_folder(folder: Path, t3: str) -> Checkpoint:
    names = file_names(t3)
    try:
        there = folder.is_dir()
        missing = [name for name in names if not (folder / name).is_file()]
    except OSError as error:  # no permission to enter it
        raise ConfigError(f"MONICA_MODEL_DIR={str(folder)!r} cannot be read: {error.strerror}.") from error
    if not there:
        raise ConfigError(f"MONICA_MODEL_DIR={str(folder)!r} is not a folder: give one with a checkpoint's files.")
    if missing:
        raise ConfigError(
            f"MONICA_MODEL_DIR={str(folder)!r} lacks {', '.join(missing)}: "
            f"put {'it' if len(missing) == 1 else 'them'} there from {REPOSITORY}, or leave the setting out."
        )
    return Checkpoint(*(folder / name for name in names))


def _in_cache(settings: Settings, cache_dir: Path | None) -> Checkpoint | None:
    from huggingface_hub import try_to_load_from_cache

    found = [
        try_to_load_from_cache(REPOSITORY, name, cache_dir=cache_dir, revision=settings.model_revision)
        for name in file_names(settings.t3)
    ]
    paths = [Path(path) for path in found if isinstance(path, str)]
    return Checkpoint(*paths) if len(paths) == len(found) else None
