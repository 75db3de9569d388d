"""How a sound is made, and the key it is kept under."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The command line lists ten thousand phrases at once. numpy, which this import brings, would take as long as
    # all the rest.
    from monica.engine import SynthesisParams

KEY_VERSION = 2
"""Part of every key. Raise it if the meaning of a key changes, as when a parameter gets another default: old keys leave
defaults out, so they would stand for another sound. Version 1 is the formula in `migration.py`."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a sound is made. `text`, `page`, `engine` and `voice` say where it comes from; the rest is in the key."""

    text: str
    """The text as it was asked for. Of a sentence of a longer text, the sentence as it is said."""
    said: str
    """The text as it is said."""
    engine: str
    fingerprint: str
    """Everything about the engine that changes its sound."""
    voice: str
    voice_digest: str
    params: SynthesisParams
    seed: int | None
    """None if any take will do."""
    audio: str
    """What happens to samples after the engine."""
    page: str = ""
    """The longer text as it was asked for, if this is one of its sentences. How the sentence was written is not known:
    the rules look at the whole text before it is split."""
    unknown_params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Parameters of a newer Monica that this one does not know. Metadata holds a parameter only if it differs from its
    default, so they are part of the key."""

    @property
    def key(self) -> str:
        """What the sound is kept under: hex SHA-256.

        Made of the version and the named fields that differ from their defaults, as canonical JSON. So a new parameter
        with a default changes no key. A hash of the dataclass's `repr` was rejected: every new field changed it.
        """
        return _key_of(self)

    @property
    def derived_seed(self) -> int:
        """The seed of a take that is asked for without one.

        It follows from the key: every node makes the same take under the same key, so one ETag has the same bytes.
        """
        return int(self.key[:8], 16)  # 32 bits, as many as a seed has

    def chosen_params(self) -> dict[str, Any]:
        """Return the parameters that differ from their defaults, and those of a newer Monica."""
        values = {known.name: (getattr(self.params, known.name), known.default) for known in fields(self.params)}
        return dict(self.unknown_params) | {name: value for name, (value, usual) in values.items() if value != usual}


@lru_cache(maxsize=1024)  # the same phrases are asked for again, and to hash one takes a twentieth of its answer
def _key_of(recipe: Recipe) -> str:
    keyed = {
        "version": KEY_VERSION,
        "fingerprint": recipe.fingerprint,
        "voice_digest": recipe.voice_digest,
        "said": recipe.said,
        "audio": recipe.audio,
        "params": {name: _canonical(value) for name, value in recipe.chosen_params().items()},
    }
    if recipe.seed is not None:
        keyed["seed"] = recipe.seed
    return hashlib.sha256(json.dumps(keyed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """Write a whole number in one way: 1 and 1.0 are the same parameter."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
