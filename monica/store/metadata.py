"""Metadata, stored beside a kept sound: its recipe, and the take that came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from monica.store.hearing import Hearing
from monica.store.recipe import Recipe

VERSION = 2
"""The format written here. Version 1 had no `version` and named every parameter."""
LARGEST = 1e12
"""Bound on every number in metadata."""
DEEPEST = 8
"""Bound on the nesting of fields that this Monica does not know."""

_REQUIRED_TEXTS = ("said", "engine", "fingerprint", "voice", "voice_digest", "audio")
_KNOWN = {*_REQUIRED_TEXTS, "version", "text", "page", "params", "seed", "drawn", "seconds", "made"}
_KNOWN |= {"attempt", "doubts", "heard"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """A recipe, and what came of it.

    What a newer Monica wrote is kept: fields that are not known here are written back as they were read.
    """

    recipe: Recipe
    drawn: int | None
    """The seed of the take; None if it was joined from several takes."""
    seconds: float
    """Duration of the sound."""
    made: float
    """When it was made, in seconds since the epoch."""
    attempt: int = 1
    """2 if it was made at the second attempt: at a lower temperature, because the first had a fault."""
    doubts: tuple[str, ...] = ()
    """Names of the faults that its examination found, and that another take of the text shares."""
    version: int = VERSION
    """The format it was written in if that is newer than this one."""
    unknown: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields of a newer Monica. They are never part of the key: what changes the sound is a parameter."""
    heard: Hearing | None = None
    """What was heard of it; None if it has not been listened to."""

    def to_fields(self) -> dict[str, Any]:
        """Return the JSON object that `from_fields` reads."""
        recipe = self.recipe
        return (
            dict(self.unknown)
            | {
                "version": self.version,
                "text": recipe.text,
                "said": recipe.said,
                "engine": recipe.engine,
                "fingerprint": recipe.fingerprint,
                "voice": recipe.voice,
                "voice_digest": recipe.voice_digest,
                "params": recipe.chosen_params(),
                "seed": recipe.seed,
                "audio": recipe.audio,
                "drawn": self.drawn,
                "seconds": self.seconds,
                "made": self.made,
            }
            | ({"page": recipe.page} if recipe.page else {})
            | ({"attempt": self.attempt} if self.attempt > 1 else {})
            | ({"doubts": list(self.doubts)} if self.doubts else {})
            | ({"heard": self.heard.to_fields()} if self.heard else {})
        )

    def to_json(self) -> str:
        """Return the metadata on one line."""
        return json.dumps(self.to_fields(), separators=(",", ":"))

    def with_unknown_of(self, replaced: str) -> Metadata:
        """Return this with the unknown fields of the metadata that it replaces. replaced: JSON, or whatever it is."""
        try:
            old = Metadata.from_json(replaced)
        except ValueError:
            return self
        return replace(self, unknown=old.unknown, version=old.version) if old.unknown else self

    @classmethod
    def from_json(cls, written: str) -> Metadata:
        """Read what `to_json` gave, wherever it has been since. Raises ValueError if it is not metadata."""
        return cls.from_fields(parse_fields(written))

    @classmethod
    def from_fields(cls, given: object) -> Metadata:
        """Read a JSON object strictly: it may come from anyone. Raises ValueError if it is not metadata.

        Missing parameters, `text`, `page`, `seed`, `drawn`, `attempt`, `doubts` and `heard` get their defaults.
        """
        from monica.engine import MAX_SEED, SynthesisParams

        if not isinstance(given, dict) or not given:
            raise ValueError("this is not metadata")
        texts: dict[str, Any] = {name: given.get(name) for name in _REQUIRED_TEXTS}
        texts |= {"text": given.get("text", texts["said"]), "page": given.get("page", "")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise ValueError("a text in the metadata is missing or not text")
        params = given.get("params", {})
        if not isinstance(params, dict) or not _is_bounded(params):
            raise ValueError("the parameters in the metadata are not an object, or have a number out of range")
        names = {known.name for known in fields(SynthesisParams)}
        known_params = {name: value for name, value in params.items() if name in names}
        if not all(_is_number(number) for number in (*known_params.values(), given.get("seconds"), given.get("made"))):
            raise ValueError("a number in the metadata is missing, not a number, or out of range")
        seeds = (given.get("seed"), given.get("drawn"))
        if not all(seed is None or (type(seed) is int and 0 <= seed <= MAX_SEED) for seed in seeds):
            raise ValueError("a seed in the metadata is not a seed")
        version = given.get("version", 1)
        if type(version) is not int or not 1 <= version <= LARGEST:
            raise ValueError("the version of the metadata is not a version")
        attempt, doubts = given.get("attempt", 1), given.get("doubts", [])
        if type(attempt) is not int or not 1 <= attempt <= LARGEST:
            raise ValueError("the attempt in the metadata is not a number of an attempt")
        if not isinstance(doubts, list) or not all(isinstance(doubt, str) for doubt in doubts):
            raise ValueError("the doubts in the metadata are not a list of names")
        unknown_params = {name: value for name, value in params.items() if name not in names}
        unknown = {name: value for name, value in given.items() if name not in _KNOWN}
        if not _is_bounded(unknown):
            raise ValueError("an unknown field of the metadata is nested too deeply, or has a number out of range")
        recipe = Recipe(
            **texts, params=SynthesisParams(**known_params), seed=given.get("seed"), unknown_params=unknown_params
        )
        heard = Hearing.from_fields(given["heard"]) if given.get("heard") is not None else None
        return cls(
            recipe,
            given.get("drawn"),
            given["seconds"],
            given["made"],
            attempt,
            tuple(doubts),
            max(version, VERSION),
            unknown,
            heard,
        )


def parse_fields(written: str) -> dict[str, Any]:
    """Parse the JSON of metadata; an empty dict if it is not a JSON object. The values may still be anything."""
    try:
        found = json.loads(written) if written else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _is_bounded(value: object, depth: int = 0) -> bool:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return depth < DEEPEST and all(_is_bounded(each, depth + 1) for each in inner)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return -LARGEST <= value <= LARGEST
    return value is None or isinstance(value, str | bool)
