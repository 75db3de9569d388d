"""Keys of an older Monica: takes and bundles made with them stay of use.

A key of version 1 was the SHA-256 of a `repr` with the dataclass of the parameters in it. That text is spelled out
here, so that it stays what it was however the dataclass grows.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from typing import Any

from monica.store.cache import CacheError, Store
from monica.store.metadata import Metadata, parse_fields
from monica.store.phrase import KeptPhrase

logger = logging.getLogger(__name__)

DATABASE_VERSION = 1
"""`PRAGMA user_version` of a database whose keys are today's."""
OLD_PARAMS = ("exaggeration", "cfg_weight", "temperature", "repetition_penalty", "min_p", "top_p", "max_tokens")


def old_key(fields: Mapping[str, Any]) -> str | None:
    """Return the key of version 1 for metadata of that version; None if it is of another.

    fields: the JSON object. Numbers count as they are spelled: 1 and 1.0 gave different keys.
    """
    params = fields.get("params")
    if not isinstance(params, dict) or params.keys() != set(OLD_PARAMS):
        return None
    spelled = ", ".join(f"{name}={params[name]!r}" for name in OLD_PARAMS)
    first = ", ".join(repr(fields.get(name)) for name in ("fingerprint", "voice_digest", "said"))
    keyed = f"({first}, SynthesisParams({spelled}), {fields.get('seed')!r}, {fields.get('audio')!r})"
    return hashlib.sha256(keyed.encode()).hexdigest()


def new_key(phrase: KeptPhrase) -> str | None:
    """Return today's key of a phrase that is kept under its old one; None for every other phrase."""
    fields = parse_fields(phrase.metadata_json)
    try:
        # First, because it bounds what `old_key` spells out: a folder that others can write to may hold anything.
        metadata = Metadata.from_fields(fields)
    except ValueError:
        return None
    return metadata.recipe.key if old_key(fields) == phrase.key else None


def rename_old_keys(takes: Store) -> None:
    """Rename what is kept under old keys, so that it is found. Once per database; a failure is logged.

    Only the server does this, when it starts: another version of Monica may own the folder that a visitor looks at.
    Phrases without metadata are left alone: what their keys were made of is not known.
    """
    began = time.monotonic()
    try:
        if takes.database_version() >= DATABASE_VERSION:
            return
        new_keys = {phrase.key: new for phrase in takes.phrases() if (new := new_key(phrase)) is not None}
        renamed = takes.rename_keys(new_keys, DATABASE_VERSION)
    except CacheError as error:
        logger.warning("phrases of an older Monica cannot be renamed, and are made again when asked for (%s)", error)
        return
    if renamed:
        logger.info("%d phrases of an older Monica renamed to new keys in %.2f s", renamed, time.monotonic() - began)
