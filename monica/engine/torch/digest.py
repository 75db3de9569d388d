"""The digest of a checkpoint: every byte counts, so that changed weights never meet cached takes of the old ones."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from monica.engine.chatterbox.checkpoint import Checkpoint
from monica.errors import ModelUnavailable

SUMS = "checkpoint-sums.json"
"""Name of the file in the cache folder that remembers them."""

logger = logging.getLogger(__name__)


def digest(checkpoint: Checkpoint, memory: Path) -> str:
    """Sum up the contents of the files: hex SHA-256 over the SHA-256 of each.

    memory: a file that remembers sums from start to start, each by what the file system says of its file; reading
    three gigabytes for them takes longer than loading the model. For the hub's large files its own sum, which is the
    blob's name, is taken over. Raises ModelUnavailable where a file cannot be read.
    """
    remembered = _recall(memory)
    with ThreadPoolExecutor(len(checkpoint.paths), thread_name_prefix="digest") as pool:
        sums = dict(pool.map(lambda path: _sum(path, remembered), checkpoint.paths))
    if not sums.items() <= remembered.items():
        _remember(memory, sums)
    return hashlib.sha256("".join(f"{sha256}\n" for sha256 in sums.values()).encode()).hexdigest()


def _sum(path: Path, remembered: dict[str, str]) -> tuple[str, str]:
    """Return what tells this state of the file from another, and its SHA-256."""
    try:
        stat = path.stat()
        state = f"{path.name} {stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"
        if path.is_symlink():
            # One hop only: a blob may itself be a link into a store that is named by another hash.
            blob = path.readlink()
            if blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", blob.name):
                return state, blob.name
        if state in remembered:
            return state, remembered[state]
        with path.open("rb") as file:
            return state, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnavailable(f"{path.name} cannot be read: {error.strerror}.") from error


def _recall(memory: Path) -> dict[str, str]:
    try:
        remembered = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(remembered, dict):
        return {}
    return {k: v for k, v in remembered.items() if isinstance(v, str) and re.fullmatch(r"[0-9a-f]{64}", v)}


def _remember(memory: Path, sums: dict[str, str]) -> None:
    """Write the sums of this checkpoint alone: those of another one would only pile up."""
    written = memory.with_name(f"{memory.name}.{os.getpid()}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(json.dumps(sums, indent=1))
        written.replace(memory)
    except OSError as error:
        written.unlink(missing_ok=True)
        logger.warning("the checkpoint's sums cannot be kept (%s): the next start makes them again", error)
