"""What a kept sound is: how it was asked for, which its key is made of, and what came of it. Kept beside the sound."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # A catalogue of ten thousand labels is shown at once; numpy, which this brings, would take as long as all the rest.
    from monica.engine import SynthesisParams

LARGEST = 1e12  # of any number in a label


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a sound is made. `text`, `engine` and `voice` are for people; all else is in the key.

    text: as it was asked for. said: as it is said. seed: None where any take will do.
    audio: what happens to samples after the engine.
    """

    text: str
    said: str
    engine: str
    fingerprint: str
    voice: str
    voice_digest: str
    params: SynthesisParams
    seed: int | None
    audio: str

    @property
    def key(self) -> str:
        """What the sound is kept under: hex SHA-256."""
        identity = (self.fingerprint, self.voice_digest, self.said, self.params, self.seed, self.audio)
        return hashlib.sha256(repr(identity).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Label:
    """A recipe, and what came of it.

    drawn: the seed of the take; None of several takes that were joined. seconds: of sound.
    made: when, in seconds since the epoch.
    """

    recipe: Recipe
    drawn: int | None
    seconds: float
    made: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self.recipe) | {"drawn": self.drawn, "seconds": self.seconds, "made": self.made}

    def written(self) -> str:
        """Write it on one line."""
        return json.dumps(self.as_dict(), separators=(",", ":"))

    @classmethod
    def read(cls, found: object) -> Label:
        """Read what `as_dict` or `written` gave, wherever it has been since. Raises ValueError where it is no label."""
        from monica.engine import MAX_SEED, SynthesisParams

        try:
            given = json.loads(found) if isinstance(found, str) else found
        except RecursionError:
            raise ValueError("a label is not nested like that") from None
        if not isinstance(given, dict) or given.keys() != _FIELDS:
            raise ValueError("a label has other fields")
        if not all(isinstance(given[name], str) for name in _TEXTS):
            raise ValueError("a label's text is no text")
        params = given["params"]
        if not isinstance(params, dict) or params.keys() != {field.name for field in fields(SynthesisParams)}:
            raise ValueError("a label's parameters are others")
        if not all(_is_number(number) for number in (*params.values(), given["seconds"], given["made"])):
            raise ValueError("a label's number is no number")
        seeds = (given["seed"], given["drawn"])
        if not all(seed is None or (type(seed) is int and 0 <= seed <= MAX_SEED) for seed in seeds):
            raise ValueError("a label's seed is no seed")
        texts = {name: given[name] for name in _TEXTS}
        recipe = Recipe(**texts, params=SynthesisParams(**params), seed=given["seed"])
        return cls(recipe, given["drawn"], given["seconds"], given["made"])


_TEXTS = ("text", "said", "engine", "fingerprint", "voice", "voice_digest", "audio")
_FIELDS = {*_TEXTS, "params", "seed", "drawn", "seconds", "made"}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGEST
