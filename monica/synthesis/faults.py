"""What can be wrong with a take, found in its samples alone: before anyone hears it, and without a recogniser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monica.audio.activity import Activity, Silence, ends_in_noise
from monica.synthesis.duration import Expectation, parse_script

SILENCE_PEAK = 1e-3
"""Peak below which a take counts as silent, as a fraction of full scale: -60 dB."""
GAP_S, MAX_PAUSE_S = 0.8, 1.5
"""A longer silence inside a take is a gap, and at a comma or a full stop only if it is longer than MAX_PAUSE_S."""
NEAR_MARK = 0.15
"""How far from a mark, as a share of the take, a silence may be and still be its pause."""
TAIL_S = 0.6
"""The seconds of noise after the speech that are a fault."""
CLIPPED_AT, CLIPPED_SHARE = 0.985, 2e-3
"""A sample is clipped if it and the next are this loud and alike. Pico clips a few of its own: 0.0006 at most."""
MIN_LEVEL_DB, MAX_LEVEL_DB = -45.0, -4.0
"""Bounds of the mean power of what is not silent, relative to full scale."""
MAX_DROP_DB, MIN_DROP_S = 18.0, 1.5
"""How much the thirds of a take may differ in level, if it is as long as that."""
RUN_TOKENS, MAX_CYCLE = 20, 12
"""A token, or a cycle of up to MAX_CYCLE tokens, that is repeated for so many tokens is a run. 25 make a second."""


class Fault(StrEnum):
    """What is wrong with a take, the worst first. The values are published: metrics, metadata and the log have them."""

    NOT_FINITE = "not_finite"
    SILENCE = "silence"
    NO_END = "no_end"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOKEN_RUN = "token_run"  # noqa: S105 - no password
    TAIL = "tail"
    GAP = "gap"
    LEVEL = "level"
    CLIPPING = "clipping"

    @property
    def grave(self) -> bool:
        """Whether a take with it must not be heard at all."""
        return self in (Fault.NOT_FINITE, Fault.SILENCE, Fault.NO_END)

    @property
    def description(self) -> str:
        """Say it of a sound, to follow its name."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS = {
    Fault.NOT_FINITE: "holds samples that are not finite numbers",
    Fault.SILENCE: "is silent",
    Fault.NO_END: "came to no end",
    Fault.TOO_SHORT: "is too short for its text",
    Fault.TOO_LONG: "is too long for its text",
    Fault.TOKEN_RUN: "repeats itself",
    Fault.TAIL: "ends in noise",
    Fault.GAP: "falls silent inside",
    Fault.LEVEL: "is far too quiet or too loud, or changes its level",
    Fault.CLIPPING: "is clipped",
}


class Verdict(NamedTuple):
    """What the examination of a take found."""

    faults: tuple[Fault, ...] = ()
    """The worst first. A take that has any is not kept."""
    doubts: tuple[Fault, ...] = ()
    """What would be faults if another take of the text did not share them. The take may be kept, and has them noted."""
    deviation: float = 0.0
    """The |ln| of the ratio of its duration to the expected one."""

    @property
    def grave(self) -> bool:
        """Whether the take must not be heard at all."""
        return any(fault.grave for fault in self.faults)

    @property
    def badness(self) -> tuple[bool, int, float]:
        """What takes of a text are compared by: the smaller, the better."""
        return self.grave, len(self.faults), self.deviation


def describe_faults(faults: Iterable[Fault]) -> str:
    """Say what is wrong, to follow the name of a sound: "is too long for its text and ends in noise"."""
    return " and ".join(fault.description for fault in faults)


def find_faults(
    samples: NDArray[np.float32],
    rate: int,
    text: str,
    expected: Expectation,
    *,
    complete: bool = True,
    tokens: Sequence[int] = (),
) -> tuple[Fault, ...]:
    """Examine the sound of an utterance.

    samples: (N,) mono in [-1, 1], as the engine made them. rate: hertz. text: as it was to be said.
    complete: whether the engine came to an end by itself. tokens: what the sound was made of, if the engine has tokens.
    Returns the faults, the worst first; nothing else is looked for after a grave one.
    """
    if not np.isfinite(samples).all():
        return (Fault.NOT_FINITE,)
    if len(samples) == 0 or np.abs(samples).max() < SILENCE_PEAK:
        return (Fault.SILENCE,)
    if not complete:
        return (Fault.NO_END,)
    activity = Activity.of(samples, rate)
    deviation = expected.deviation(activity.seconds)
    found = {
        Fault.TOO_SHORT: deviation < -expected.tolerance,
        Fault.TOO_LONG: deviation > expected.tolerance,
        Fault.TOKEN_RUN: _has_run(tokens),
        Fault.TAIL: ends_in_noise(samples, rate, activity, TAIL_S),
        Fault.GAP: any(_is_gap(silence, text) for silence in activity.silences(GAP_S)),
        Fault.LEVEL: _is_off_level(activity),
        Fault.CLIPPING: _is_clipped(samples),
    }
    return tuple(fault for fault in Fault if found.get(fault))


def _is_gap(silence: Silence, text: str) -> bool:
    at_mark = any(abs(mark - silence.after) < NEAR_MARK for mark in parse_script(text).marks)
    return not (at_mark and silence.seconds <= MAX_PAUSE_S)


def _is_off_level(activity: Activity) -> bool:
    if not len(activity.loud):
        return False
    level = activity.level_db
    thirds = activity.levels_db(3)
    changes = activity.seconds >= MIN_DROP_S and len(thirds) > 1 and np.ptp(thirds) > MAX_DROP_DB
    return bool(changes or not MIN_LEVEL_DB <= level <= MAX_LEVEL_DB)


def _is_clipped(samples: NDArray[np.float32]) -> bool:
    high = np.abs(samples) >= CLIPPED_AT
    if not high.any():
        return False
    stays = high[1:] & high[:-1] & (np.abs(np.diff(samples)) < 1e-3)
    return bool(stays.mean() > CLIPPED_SHARE)


def _has_run(tokens: Sequence[int]) -> bool:
    if len(tokens) < RUN_TOKENS:
        return False
    given = np.asarray(tokens)
    for period in range(1, MAX_CYCLE + 1):
        differs = np.flatnonzero(given[period:] != given[:-period])
        bounds = np.concatenate([[-1], differs, [len(given) - period]])
        # So many tokens repeat those a period before. The cycle itself counts as well, and is heard three times.
        if np.diff(bounds).max() - 1 + period >= max(RUN_TOKENS, 3 * period):
            return True
    return False
