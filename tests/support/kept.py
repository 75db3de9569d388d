"""Kept takes, without an engine that made them."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from monica.audio.wav import encode_wav, wav_duration
from monica.config import Settings
from monica.engine import SynthesisParams
from monica.store.cache import Store
from monica.store.identity import Identity
from monica.store.metadata import Metadata
from monica.store.recipe import Recipe

RECIPE = Recipe(
    text="Pablo est éliminé",
    said="Pablo est éliminé.",
    engine="chatterbox",
    fingerprint="chatterbox 1",
    voice="monica",
    voice_digest="v" * 64,
    params=SynthesisParams(),
    seed=None,
    audio="1",
)
IDENTITY = Identity("chatterbox 1", {"monica": "v" * 64}, "1")


def sound(text: str, seconds: float = 1.0) -> bytes:
    """Return a WAV with a tone that depends on the text."""
    steps = np.arange(round(8000 * seconds)) * (1 + sum(text.encode()) % 97) / 50
    return encode_wav((0.1 * np.sin(steps)).astype(np.float32), 8000)


def metadata(text: str, seconds: float = 1.0, made: float = 1_790_000_000.0, **recipe: object) -> Metadata:
    """Return the metadata of a take of a text. recipe: fields that differ from RECIPE's."""
    changed: dict[str, object] = {"text": text, "said": text} | recipe
    return Metadata(replace(RECIPE, **changed), 7, seconds, made)  # type: ignore[arg-type]


def old_fields(made_of: Metadata) -> dict[str, Any]:
    """Return metadata of version 1: without a version, every parameter named."""
    fields = made_of.to_fields() | {"params": asdict(made_of.recipe.params)}
    del fields["version"]
    return fields


def keep(store: Store, text: str, seconds: float = 1.0, made: float = 1_790_000_000.0, **recipe: object) -> str:
    """Keep a take of a text. Returns its key."""
    wav = sound(text, seconds)
    made_of = metadata(text, wav_duration(wav), made, **recipe)
    assert store.put(made_of.recipe.key, wav, made_of.to_json())
    return made_of.recipe.key


def server_store(settings: Settings) -> Store:
    """Open the store of takes as a server does."""
    return Store("takes", settings.cache_dir / "takes", megabytes=settings.cache_mb)
