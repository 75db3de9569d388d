"""Finding and downloading the five files of a checkpoint. The hub is never asked about files that are on disk."""

from __future__ import annotations

import errno
import logging
from dataclasses import astuple, dataclass
from pathlib import Path

from monica.config import Settings
from monica.errors import ConfigError, ModelUnavailable

REPOSITORY = "ResembleAI/chatterbox"
TURBO_REPOSITORY = "ResembleAI/chatterbox-turbo"
TURBO_REVISION = "749d1c1a46eb10492095d68fbcf55691ccf137cd"
"""The commit that the MeanFlow decoder is taken from. It is pinned, because MONICA_MODEL_REVISION, which names a
revision of the other repository, means nothing in this one."""
MEANFLOW_FILE = "s3gen_meanflow.safetensors"
S3GEN_FILES = {"standard": "s3gen.pt", "meanflow": MEANFLOW_FILE}
"""The file of S3Gen for each MONICA_S3GEN. Either has all of S3Gen: speech tokenizer, encoder, decoder and vocoder."""
UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
"""Errors that come from the disk, never from the hub."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The paths of the files of one checkpoint. If they come from the hub, those of a repository are of one commit."""

    voice_encoder: Path
    t3: Path
    s3gen: Path
    tokenizer: Path
    conditionals: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        return astuple(self)


def file_names(t3: str, s3gen: str = "standard") -> tuple[str, ...]:
    """Return the names of the files in the order of Checkpoint's fields.

    t3: `v2` or `v3`. s3gen: `standard` or `meanflow`.
    """
    return (
        "ve.pt",
        f"t3_mtl23ls_{t3}.safetensors",
        S3GEN_FILES[s3gen],
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
        return _in_folder(settings.model_dir, file_names(settings.t3, settings.s3gen))
    return _in_cache(settings, cache_dir)


def download(settings: Settings, *, cache_dir: Path | None = None, endpoint: str | None = None) -> Checkpoint:
    """Download the newest files of the settings' revision into the hub's cache, with the hub's progress bars.

    An interrupted download continues where it stopped; files that are already there are not fetched again.
    Raises as `locate` does.
    """
    from huggingface_hub import errors, hf_hub_download  # here: it takes a second, and MODEL_DIR needs none of it

    newest = settings.model_revision
    paths = []
    for name in file_names(settings.t3, settings.s3gen):
        repository = _repository(name)
        revision = newest if repository == REPOSITORY else TURBO_REVISION
        logger.info("checkpoint: fetching %s of %s (%s)", name, repository, revision)
        try:
            path = hf_hub_download(repository, name, revision=revision, cache_dir=cache_dir, endpoint=endpoint)
        except (errors.RevisionNotFoundError, errors.HFValidationError) as error:
            if repository == TURBO_REPOSITORY:
                raise _no_meanflow() from error
            raise ConfigError(
                f"MONICA_MODEL_REVISION={settings.model_revision!r}: {REPOSITORY} has no such revision."
            ) from error
        except errors.RemoteEntryNotFoundError as error:
            if repository == TURBO_REPOSITORY:
                raise _no_meanflow() from error
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
        newest = paths[0].parent.name
    return Checkpoint(*paths)


def _repository(name: str) -> str:
    """Return the repository that has a file."""
    return TURBO_REPOSITORY if name == MEANFLOW_FILE else REPOSITORY


def _no_meanflow() -> ConfigError:
    return ConfigError(
        f"{TURBO_REPOSITORY} has no {MEANFLOW_FILE} at revision {TURBO_REVISION}: set MONICA_S3GEN=standard, "
        "or MONICA_MODEL_DIR to a folder that has the file."
    )


def _in_folder(folder: Path, names: tuple[str, ...]) -> Checkpoint:
    try:
        there = folder.is_dir()
        missing = [name for name in names if not (folder / name).is_file()]
    except OSError as error:  # no permission to enter it
        raise ConfigError(f"MONICA_MODEL_DIR={str(folder)!r} cannot be read: {error.strerror}.") from error
    if not there:
        raise ConfigError(f"MONICA_MODEL_DIR={str(folder)!r} is not a folder: give one with a checkpoint's files.")
    if missing == [MEANFLOW_FILE]:
        raise ConfigError(
            f"MONICA_MODEL_DIR={str(folder)!r} lacks {MEANFLOW_FILE}: "
            f"put it there from {TURBO_REPOSITORY}, or set MONICA_S3GEN=standard."
        )
    if missing:
        raise ConfigError(
            f"MONICA_MODEL_DIR={str(folder)!r} lacks {', '.join(missing)}: "
            f"put {'it' if len(missing) == 1 else 'them'} there from {REPOSITORY}, or leave the setting out."
        )
    return Checkpoint(*(folder / name for name in names))


def _in_cache(settings: Settings, cache_dir: Path | None) -> Checkpoint | None:
    from huggingface_hub import try_to_load_from_cache

    found = [
        try_to_load_from_cache(
            _repository(name),
            name,
            cache_dir=cache_dir,
            revision=TURBO_REVISION if name == MEANFLOW_FILE else settings.model_revision,
        )
        for name in file_names(settings.t3, settings.s3gen)
    ]
    paths = [Path(path) for path in found if isinstance(path, str)]
    return Checkpoint(*paths) if len(paths) == len(found) else None
