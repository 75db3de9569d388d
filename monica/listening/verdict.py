"""From what was heard to a verdict: good, doubtful, or wrong and to be made again.

A recogniser errs, so its word alone fails nothing. Told hearing, which has the expected text as a hint, errs least and
in the same way for every voice. A word that is wrong told is wrong for certain if it is wrong in free hearing too. What
free hearing finds beside that depends on the voice: it counts only for voices that have been measured, in
`python -m benchmarks.listen`.

How long the take lasts counts, too. Told hearing passes over words that are said twice and over words that are said too
fast. The limits are tighter than for a take that nobody listens to (`monica.synthesis.faults`), because here a second
take can be made and a person can be asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from monica.listening.comparison import Comparison
from monica.listening.heard import Heard
from monica.store.hearing import Hearing, Misheard, Verdict
from monica.synthesis.faults import Fault

WRONG_WORDS = 2
"""Words that a take is made again for, told hearing. One is enough if free hearing misses it too."""
WRONG_SPREADS, DOUBTFUL_SPREADS = 2.5, 2.0
"""How many spreads the duration of a take may be off before it is wrong, and before it is doubtful."""
UNINTELLIGIBLE = 0.5
"""The share of the sounds, told hearing, from which on a take is not this text at all: it is not kept."""


@dataclass(frozen=True, slots=True)
class FreeLimits:
    """What free hearing of a voice may differ in before a take of it is doubtful."""

    run: int
    """Sounds wrong in a row."""
    distance: float
    """Share of the sounds that are wrong."""


FREE_LIMITS = {"pico": FreeLimits(run=8, distance=0.5)}
"""By the name of the engine. A voice that is not here was not measured, and is judged by told hearing alone."""


def judge(heard: Heard, engine: str, sound: str, model: str, spreads: float = 0.0) -> Hearing:
    """Return the verdict on a take.

    engine: the name of the one that made it. sound: hex SHA-256 of it. model: the recogniser. spreads: how far its
    duration is off (`Expectation.spreads`); 0 if the voice has no duration model yet.
    """
    wrong = heard.told_comparison.differences
    confirmed = is_confirmed(heard.told_comparison, heard.free_comparison)
    if len(wrong) >= WRONG_WORDS or confirmed or abs(spreads) > WRONG_SPREADS:
        verdict = Verdict.WRONG
    elif wrong or abs(spreads) > DOUBTFUL_SPREADS or _is_doubtful_free(heard, FREE_LIMITS.get(engine)):
        verdict = Verdict.DOUBTFUL
    else:
        verdict = Verdict.GOOD
    if not wrong and verdict is Verdict.DOUBTFUL and heard.free_comparison is not None:
        wrong = heard.free_comparison.differences  # they are why
    return Hearing(
        verdict,
        sound,
        model,
        heard.expected,
        heard.told,
        heard.free,
        tuple(Misheard(each.said, each.heard, each.kind) for each in wrong[:MOST_SHOWN]),
        (Fault.TOO_LONG if spreads > 0 else Fault.TOO_SHORT) if abs(spreads) > DOUBTFUL_SPREADS else None,
        heard.words,
    )


MOST_SHOWN = 20
"""Differences that are noted of a take."""


def is_confirmed(told: Comparison, free: Comparison | None) -> bool:
    """Return whether a word that is wrong told hearing is wrong in free hearing as well."""
    missed = {each.said for each in free.differences} if free is not None else set()
    return any(each.said in missed for each in told.differences)


def is_unintelligible(heard: Heard) -> bool:
    """Return whether hardly anything of the text was heard, even by a recogniser that was told what to expect."""
    return heard.told_comparison.distance >= UNINTELLIGIBLE


def _is_doubtful_free(heard: Heard, limits: FreeLimits | None) -> bool:
    found = heard.free_comparison
    if limits is None or found is None:
        return False
    return found.run >= limits.run or found.distance > limits.distance
