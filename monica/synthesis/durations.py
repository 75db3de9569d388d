"""The duration models of all voices, kept in the cache folder: each is fitted to what its voice has said lately."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections import OrderedDict
from pathlib import Path

from monica.audio.activity import Activity
from monica.audio.wav import wav_rate, wav_samples
from monica.store.recipe import Recipe
from monica.synthesis.duration import MIN_TAKES, PRIOR, DurationModel, Expectation, Point, parse_script

NAME = "durations.json"
MAX_POINTS, MAX_VOICES = 256, 64
"""Bounds of what is kept: the newest takes of a voice, and the voices that spoke last."""
MAX_ALIKE = 8
"""How many of a voice's points may be of texts of the same length. Otherwise a text that is said over and over would be
all that the model knows."""
LONGEST_S = 3600.0

logger = logging.getLogger(__name__)


class DurationModels:
    """A duration model for each voice. Thread-safe. path: the file they are kept in; None keeps them in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._points: OrderedDict[str, list[Point]] = OrderedDict()
        """By voice, the one that spoke last at the end."""
        self._models: dict[str, DurationModel] = {}
        self._new: dict[str, int] = {}
        """How many takes a voice has said since its model was fitted."""
        if path is not None:
            self._points.update(_read(path))

    def model(self, voice: str) -> DurationModel:
        """Return the model of a voice. voice: see `voice_of`."""
        with self._lock:
            return self._model(voice)

    def expect(self, recipe: Recipe) -> Expectation:
        """Return how long a take should last."""
        return self.model(voice_of(recipe)).expect(recipe.said)

    def spreads(self, recipe: Recipe, wav: bytes) -> float:
        """Return how many spreads the duration of a take is off; 0 if nothing is known of the voice's pace yet."""
        model = self.model(voice_of(recipe))
        if not model.takes:
            return 0.0
        return model.expect(recipe.said).spreads(Activity.of(wav_samples(wav), wav_rate(wav)).seconds)

    def learn(self, recipe: Recipe, seconds: float) -> None:
        """Take note of a take: seconds from its first sound to its last."""
        voice, point = voice_of(recipe), Point(*parse_script(recipe.said)[:3], seconds)
        with self._lock:
            points = self._points.setdefault(voice, [])
            self._points.move_to_end(voice)
            alike = [old for old in points if old[:3] == point[:3]]
            if len(alike) >= MAX_ALIKE:
                points.remove(alike[0])
            points.append(point)
            del points[:-MAX_POINTS]
            while len(self._points) > MAX_VOICES:
                forgotten, _ = self._points.popitem(last=False)
                self._models.pop(forgotten, None)
                self._new.pop(forgotten, None)
            self._new[voice] = self._new.get(voice, 0) + 1
            stale = len(points) >= MIN_TAKES and self._new[voice] > len(points) // 10
            if stale:
                self._new[voice] = 0
                self._models.pop(voice, None)
        if stale:
            self.save()

    def save(self) -> None:
        """Write the file; a failure is logged. Without it, the voices start from the prior again."""
        if self._path is None:
            return
        with self._lock:
            written = json.dumps({"version": 1, "voices": self._points}, separators=(",", ":"))
        temporary = self._path.with_name(f"{NAME}.{os.getpid()}")
        with self._writing:  # a take may end while the service does
            try:
                temporary.write_text(written)
                temporary.replace(self._path)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                logger.warning("how fast the voices speak cannot be noted (%s)", error)

    def _model(self, voice: str) -> DurationModel:
        if voice not in self._models:
            points = self._points.get(voice)
            if points is None:
                return PRIOR
            self._models[voice] = DurationModel.fit(points)
        return self._models[voice]


def voice_of(recipe: Recipe) -> str:
    """Return what the pace of a take depends on, as a short digest: the engine, the voice, and how it is sampled."""
    params = {name: value for name, value in recipe.chosen_params().items() if name != "max_tokens"}
    parts = json.dumps([recipe.fingerprint, recipe.voice_digest, params], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _read(path: Path) -> dict[str, list[Point]]:
    """Return what `save` wrote; nothing if it is not that."""
    try:
        found = json.loads(path.read_bytes())
        voices = found["voices"].items() if found["version"] == 1 else ()
        return {voice: [_point(*numbers) for numbers in points[-MAX_POINTS:]] for voice, points in voices}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        logger.warning("%s is not used: it cannot be read (%s)", path.name, type(error).__name__)
        return {}


def _point(sounds: object, commas: object, stops: object, seconds: object) -> Point:
    """Raises ValueError."""
    counts = [number for number in (sounds, commas, stops) if type(number) is int and 0 <= number < 2**20]
    if len(counts) != 3 or not isinstance(seconds, float | int) or not 0 <= seconds < LONGEST_S:
        raise ValueError("not the lengths of a take")
    return Point(counts[0], counts[1], counts[2], float(seconds))
