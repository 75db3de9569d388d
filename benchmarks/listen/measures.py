"""What the checks say of every take, and how much of the damage each rule finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.listen.damage import GOOD
from benchmarks.listen.record import Take
from benchmarks.listen.voices import NO_ENGINE
from monica.audio.activity import Activity
from monica.errors import InvalidText
from monica.listening.comparison import Comparison, compare
from monica.listening.verdict import DOUBTFUL_SPREADS, WRONG_SPREADS, WRONG_WORDS, FreeLimits, is_confirmed
from monica.listening.words import Word, split_words
from monica.synthesis.duration import DurationModel, Point, parse_script
from monica.synthesis.faults import Fault, find_faults
from monica.text.frontend import TextFrontend

MAX_FALSE_ALARMS = 0.03
"""Of good takes of the half that limits are fitted on, by free hearing alone."""
RUNS = range(4, 13)
DISTANCES = tuple(step / 20 for step in range(4, 17))


@dataclass(frozen=True, slots=True)
class Measured:
    """A take, as the checks see it."""

    sentence: int
    kind: str
    faults: tuple[Fault, ...]
    deviation: float
    """|ln| of its duration's ratio to the expected one."""
    spreads: float
    """How many spreads that is."""
    told: Comparison
    free: Comparison | None

    @property
    def good(self) -> bool:
        return self.kind == GOOD

    @property
    def told_words(self) -> int:
        return len(self.told.differences)


Rule = Callable[[Measured], bool]


def is_fitted_on(take: Take | Measured) -> bool:
    """Return whether a take belongs to the half that models and limits are fitted on."""
    return take.sentence % 2 == 0


def measure(takes: Sequence[Take], expected: Sequence[str], frontend: TextFrontend) -> list[Measured]:
    """Examine takes by signal, and compare what was heard of them. The duration model is fitted on one half."""
    model = DurationModel.fit([_point(take, expected) for take in takes if is_fitted_on(take) and take.as_made])
    said = [split_words(text, "fr", frontend.lexicon_words) for text in expected]

    def words(text: str) -> tuple[Word, ...]:
        try:
            return split_words(frontend.prepare(text[:500], NO_ENGINE).text, "fr", frontend.lexicon_words)
        except InvalidText:
            return ()

    measured = []
    for take in takes:
        expectation = model.expect(expected[take.sentence])
        faults = find_faults(take.samples, take.rate, expected[take.sentence], expectation)
        seconds = Activity.of(take.samples, take.rate).seconds
        deviation, spreads = abs(expectation.deviation(seconds)), abs(expectation.spreads(seconds))
        told = compare(said[take.sentence], words(take.told))
        free = None if take.free is None else compare(said[take.sentence], words(take.free))
        measured.append(Measured(take.sentence, take.kind, faults, deviation, spreads, told, free))
    return measured


def _point(take: Take, expected: Sequence[str]) -> Point:
    script = parse_script(expected[take.sentence])
    return Point(script.sounds, script.commas, script.stops, Activity.of(take.samples, take.rate).seconds)


def fit_free_limits(measured: Iterable[Measured]) -> FreeLimits | None:
    """Return the limits of free hearing that find the most at MAX_FALSE_ALARMS; None if they find nothing."""
    half = [take for take in measured if is_fitted_on(take)]
    best, most = None, 0.0
    for run in RUNS:
        for distance in DISTANCES:
            limits = FreeLimits(run, distance)
            alarms, found = rates(half, lambda take, limits=limits: free_alarm(take, limits))  # type: ignore[misc]
            if alarms <= MAX_FALSE_ALARMS and found > most:
                best, most = limits, found
    return best


def free_alarm(take: Measured, limits: FreeLimits | None) -> bool:
    if limits is None or take.free is None:
        return False
    return take.free.run >= limits.run or take.free.distance > limits.distance


def rules(limits: FreeLimits | None) -> dict[str, Rule]:
    """Return the rules by name: each says whether a take is damaged."""

    def told(take: Measured) -> bool:
        return take.told_words >= WRONG_WORDS or is_confirmed(take.told, take.free)

    def wrong(take: Measured) -> bool:
        return bool(take.faults) or take.spreads > WRONG_SPREADS or told(take)

    def doubtful(take: Measured) -> bool:
        return take.spreads > DOUBTFUL_SPREADS or take.told_words >= 1 or free_alarm(take, limits)

    return {
        "signal": lambda take: bool(take.faults),
        "and duration": lambda take: bool(take.faults) or take.spreads > WRONG_SPREADS,
        "told, 2 words or confirmed": told,
        "told, 1 word": lambda take: take.told_words >= 1,
        "free": lambda take: free_alarm(take, limits),
        "made again": wrong,
        "or doubtful": lambda take: wrong(take) or doubtful(take),
    }


def rates(measured: Iterable[Measured], rule: Rule) -> tuple[float, float]:
    """Return the shares of good takes and of damaged ones that a rule calls damaged."""
    alarms: dict[bool, list[bool]] = {True: [], False: []}
    for take in measured:
        alarms[take.good].append(rule(take))
    return float(np.mean(alarms[True] or [False])), float(np.mean(alarms[False] or [False]))
