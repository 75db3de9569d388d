"""How long a voice should take to say a text: a duration model, fitted to the takes of the voice itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from monica.engine import PHONEMES

MIN_TAKES = 10
"""Takes that a model is fitted to at least. Before, a voice has the prior."""
OFFSET_S = 0.3
"""Added to both durations before they are compared, so that a tenth of a second does not count in a short word."""
SPREADS = 4.0
"""How many spreads a take may be off. Of good takes, one in ten thousand is, if they spread normally."""
MIN_TOLERANCE, MAX_TOLERANCE = 0.22, 0.7
"""Bounds of the tolerance: a factor of 1.25, and of 2."""
PRIOR_SPREAD = 0.5
"""How far each coefficient may be from the prior's, as a part of it, once the pace of the voice is known."""

# Letters that are one sound together, and those at the end of a word that are none. espeak-ng's phonemes would predict
# durations only a little better (`python -m benchmarks.signal`), and its library has a lock that the engine may hold.
_ONE_SOUND = re.compile(
    r"eau|au|ou|oi|ai|ei|eu|œu|oeu|an|en|on|in|un|ch|qu|gu|ph|th|gn|ill|([bcdfglmnprst])\1", re.IGNORECASE
)
_MUTE_END = re.compile(r"(?:es|e|ent|s|t|x|d|p)$", re.IGNORECASE)
_WORD_OR_MARK = re.compile(r"⟦[^⟦⟧]+⟧|[^\W\d_]+|\d|[.!?…]+(?=[\"')\]»]{0,3}\s)|[,;:–—(](?=\s|\w)|\)(?=\s)")
_STOPS = ".!?…"


class Script(NamedTuple):
    """What a voice has to do to say a text."""

    sounds: int
    """About the number of phonemes."""
    commas: int
    """The number of short pauses inside, at commas and the like."""
    stops: int
    """The number of long pauses inside, at the ends of sentences."""
    marks: tuple[float, ...]
    """Where these pauses are: the share of the sounds before each."""


@lru_cache(maxsize=256)
def parse_script(text: str) -> Script:
    """Count the sounds and pauses of a text as it is said. Punctuation at its end is no pause."""
    sounds, kinds, places = 0, "", []
    for found in _WORD_OR_MARK.finditer(text):
        token = found[0]
        if token[0] in ".!?…,;:–—()":
            if sounds:
                kinds += "." if token[0] in _STOPS else ","
                places.append(sounds)
        else:
            sounds += _count_sounds(token)
    inner = [(kind, place) for kind, place in zip(kinds, places, strict=True) if place < sounds]
    stops = sum(kind == "." for kind, _ in inner)
    return Script(sounds, len(inner) - stops, stops, tuple(place / sounds for _, place in inner))


def _count_sounds(word: str) -> int:
    if phonemes := PHONEMES.fullmatch(word):
        return sum(char.isalpha() and not unicodedata.combining(char) for char in phonemes[1])
    if unicodedata.east_asian_width(word[0]) == "W":  # one sign is a syllable
        return 3 * len(word)
    if len(word) == 1:
        return 1 if word.lower() in "aàeiouy" else 2  # other letters are spelled
    spoken = _MUTE_END.sub("", word) if len(word) > 3 else word
    return len(_ONE_SOUND.sub("#", spoken))


class Expectation(NamedTuple):
    """How long a take should last, from the first sound to the last."""

    seconds: float
    tolerance: float
    """The largest |ln| of the ratio of the durations that is no fault."""

    def deviation(self, seconds: float) -> float:
        """Return the ln of the ratio of a duration to this one, both with OFFSET_S added."""
        return float(np.log((seconds + OFFSET_S) / (self.seconds + OFFSET_S)))

    def spreads(self, seconds: float) -> float:
        """Return how many spreads a duration is off; negative if it is too short. SPREADS of them are the tolerance."""
        return SPREADS * self.deviation(seconds) / self.tolerance


class Point(NamedTuple):
    """A take that a model is fitted to."""

    sounds: int
    commas: int
    stops: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DurationModel:
    """Seconds as a sum: a constant, and so much for each sound, comma and stop."""

    coefficients: tuple[float, float, float, float]
    tolerance: float
    takes: int = 0
    """The number of takes that it was fitted to."""

    def expect(self, text: str) -> Expectation:
        """Return what the voice should take to say a text."""
        script = parse_script(text)
        terms = (1, script.sounds, script.commas, script.stops)
        seconds = sum(number * each for number, each in zip(terms, self.coefficients, strict=True))
        return Expectation(seconds, self.tolerance)

    @classmethod
    def fit(cls, points: Sequence[Point]) -> DurationModel:
        """Fit a model to the takes of a voice; the prior if there are fewer than MIN_TAKES.

        Robust: Tukey's biweight lets takes that are far off count for nothing, so a quarter of them may be. Ridge: each
        coefficient is drawn to the prior's, at the pace of the voice, as much as the takes leave it open.
        """
        if len(points) < MIN_TAKES:
            return PRIOR
        given = np.array(points, np.float64)
        terms = np.column_stack([np.ones(len(given)), given[:, :3]])
        scale = 1 / (given[:, 3] + OFFSET_S)
        prior = np.array(PRIOR.coefficients)
        prior *= np.median((given[:, 3] + OFFSET_S) / (terms @ prior + OFFSET_S))
        coefficients, pull = prior, np.diag((prior * PRIOR_SPREAD) ** -2)
        for _ in range(20):
            off = (given[:, 3] - terms @ coefficients) * scale
            spread = max(0.02, 1.4826 * float(np.median(np.abs(off))))
            weights = (scale / spread * np.clip(1 - (off / (4.685 * spread)) ** 2, 0, None)) ** 2
            weighted = terms.T * weights
            coefficients = np.linalg.solve(weighted @ terms + pull, weighted @ given[:, 3] + pull @ prior)
            coefficients = np.maximum(coefficients, 0.1 * prior)
        tolerance = max(SPREADS * spread, MIN_TOLERANCE) * (1 + MIN_TAKES / len(given))  # few takes say less
        constant, sound, comma, stop = coefficients.tolist()
        return cls((constant, sound, comma, stop), min(tolerance, MAX_TOLERANCE), len(given))


PRIOR = DurationModel((0.15, 0.075, 0.4, 0.8), MAX_TOLERANCE)
"""Of a voice that has hardly said anything yet: between Pico and espeak-ng. Twice or half of it is no fault."""
