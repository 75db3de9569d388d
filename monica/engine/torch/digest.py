"""The digest of a checkpoint. Every byte counts, so changed weights never share cached takes with the old ones."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from monica.errors import ModelUnavailable

SUMS = "checkpoint-sums.json"
"""Name of the file in the cache folder in which the sums are remembered."""

logger = logging.getLogger(__name__)


def digest_files(paths: Sequence[Path], memory: Path) -> str:
    """Return a digest of the files' contents: the hex SHA-256 of the SHA-256 of each.

    memory: a file in which the sums are remembered from start to start, by the state of each file in the file system.
    Reading three gigabytes for them takes longer than loading the model. For the hub's large files, the hub's own sum
    is used, which is the name of the blob. Raises ModelUnavailable if a file cannot be read.
    """
    remembered = _read_memory(memory)
    with ThreadPoolExecutor(len(paths), thread_name_prefix="digest") as pool:
        sums = dict(pool.map(lambda path: _sum_file(path, remembered), paths))
    if not sums.items() <= remembered.items():
        _write_memory(memory, sums)
    return hashlib.sha256("".join(f"{sha256}\n" for sha256 in sums.values()).encode()).hexdigest()


def _sum_file(path: Path, remembered: dict[str, str]) -> tuple[str, str]:
    """Return a description of the file's present state, which any change to it alters, and its SHA-256."""
    try:
        stat = path.stat()
        state = f"{path.name} {stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"
        if path.is_symlink():
            # Follow one link only: a blob may itself be a link into a store that uses another hash for its names.
            blob = path.readlink()
            if blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", blob.name):
                return state, blob.name
        if state in remembered:
            return state, remembered[state]
        with path.open("rb") as file:
            return state, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnavailable(f"{path.name} cannot be read: {error.strerror}.") from error


def _read_memory(memory: Path) -> dict[str, str]:
    try:
        remembered = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(remembered, dict):
        return {}
    return {k: v for k, v in remembered.items() if isinstance(v, str) and re.fullmatch(r"[0-9a-f]{64}", v)}


def _write_memory(memory: Path, sums: dict[str, str]) -> None:
    """Write the sums of this checkpoint only: keeping those of others, too, would make the file grow forever."""
    written = memory.with_name(f"{memory.name}.{os.getpid()}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(json.dumps(sums, indent=1))
        written.replace(memory)
    except OSError as error:
        written.unlink(missing_ok=True)
        logger.warning("the checkpoint's sums cannot be saved (%s): the next start computes them again", error)
