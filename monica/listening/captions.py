"""The words of a take as captions, with their times: where the recogniser saw them, set right by the pauses.

A recogniser knows the beginning of a word to about a tenth of a second. Of a pause it knows only that there is one: the
silence itself says where the word before it ends and the next one begins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monica.audio.activity import Activity
from monica.audio.level import Sound
from monica.store.hearing import TimedWord

MIN_PAUSE_S = 0.15
"""A shorter silence may be that of a p, t or k inside a word."""
REACH_S = 0.2
"""How far from a pause the recogniser may have put the words around it."""


def split_captions(text: str) -> list[str]:
    """Cut a text into words with their punctuation: "Tapis de Rusmir !" has three. Joined with spaces, they are it."""
    words: list[str] = []
    before = ""  # what stands before the first word
    for piece in text.split():
        if any(char.isalnum() for char in piece):
            words.append(f"{before} {piece}".lstrip())
            before = ""
        elif words:
            words[-1] += f" {piece}"
        else:
            before = f"{before} {piece}".lstrip()
    return words


def time_captions(words: Sequence[str], bounds_s: Sequence[float], samples: Sound, rate: int) -> list[TimedWord]:
    """Return words with their times, which never go back, in seconds from the first sample.

    bounds_s: where each word begins, and where the last one ends; none if that is not known, and then no word is
    returned. samples: (N,), N >= 1.
    """
    activity = Activity.of(samples, rate)
    if not bounds_s or not len(activity.loud):
        return []
    ends, starts = list(bounds_s), list(bounds_s)  # of the word before a bound, and of the one after it
    starts[0] = float(activity.loud[0]) * activity.window_s
    ends[-1] = float(activity.loud[-1] + 1) * activity.window_s
    for number, (begins, stops) in _place_pauses(activity, bounds_s).items():
        ends[number], starts[number] = begins, stops
    latest, timed = 0.0, []
    for word, start_s, end_s in zip(words, starts[:-1], ends[1:], strict=True):
        start_s = min(max(start_s, latest), ends[-1])
        latest = min(max(end_s, start_s), ends[-1])
        timed.append(TimedWord(word, round(start_s, 3), round(latest, 3)))
    return timed


def _place_pauses(activity: Activity, bounds_s: Sequence[float]) -> dict[int, tuple[float, float]]:
    """Return where the pauses between words begin and end, in seconds, by the bound that each is nearest to."""
    loud, inner = activity.loud, np.array(bounds_s[1:-1])
    if not len(inner):
        return {}
    found = []
    for at in np.flatnonzero((np.diff(loud) - 1) * activity.window_s >= MIN_PAUSE_S):
        begins, stops = float(loud[at] + 1) * activity.window_s, float(loud[at + 1]) * activity.window_s
        distances = np.maximum(np.maximum(begins - inner, inner - stops), 0)
        nearest = int(distances.argmin())
        if distances[nearest] <= REACH_S:
            found.append((-float(distances[nearest]), stops - begins, nearest + 1, (begins, stops)))
    # Of two pauses at one bound the nearer one counts, and then the longer one: it comes last.
    return {number: pause for _, _, number, pause in sorted(found)}
