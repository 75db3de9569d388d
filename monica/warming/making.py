"""Makes a phrase of a book: it is said, examined, kept and, where that is asked for, listened to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monica.announcer import Announcer
from monica.errors import MonicaError
from monica.speech import Announcement, SpeechRequest
from monica.store.hearing import Verdict
from monica.synthesis.faults import describe_faults
from monica.synthesis.take import Lane, Source
from monica.warming.book import Phrase

if TYPE_CHECKING:  # see monica.warming.listening
    from monica.warming.audition import Audition

TAKE_DEADLINE_S = 3600.0
"""Deadline of each take. Live takes may go before it for that long."""
SPARE_WORKERS = 2
"""Phrases asked for beyond the number of engine slots: their takes wait, so that a free slot is filled at once."""


@dataclass(frozen=True, slots=True)
class Made:
    """A phrase that was made, or was kept already."""

    key: str
    size: int
    """Bytes of its sound."""
    source: Source
    verdict: Verdict | None = None
    """None if it was not listened to."""
    remade: bool = False
    """Whether what was heard was reason to make it again."""
    failure: MonicaError | None = None
    """Why it is not kept although it was made: nothing of it was understood."""


def request_for(phrase: Phrase) -> SpeechRequest:
    """Return how a phrase of a book is asked for: in the background lane, and never of the embedded voice."""
    return SpeechRequest(
        text=phrase.text,
        voice=phrase.voice,
        seed=phrase.seed,
        params=phrase.params,
        lane=Lane.BACKGROUND,
        deadline_s=TAKE_DEADLINE_S,
        fallback=False,
    )


def make_phrase(
    announcer: Announcer,
    audition: Audition | None,
    request: SpeechRequest,
    announce: Callable[[SpeechRequest], Announcement],
) -> Made:
    """Make a phrase. announce: how, and how often it is tried.

    Raises what it raises, ListeningFailed, and a MonicaError if the sound has a fault or is not kept.
    """
    said = announce(request)
    if said.faults:
        raise MonicaError(f"The sound of this phrase {describe_faults(said.faults)}.", code="take_suspect")
    sound = announcer.kept(said.key) if said.key else None
    if said.key is None or sound is None:
        raise MonicaError("It was made, but the cache does not keep it.", code="not_kept")
    verdict = audition.verdict_of(said.key) if audition else None
    made = Made(said.key, len(sound), said.source, verdict)
    if audition is None or verdict is not None:
        return made
    outcome = audition.listen(request, said.key, announce)
    message = "Nothing of this phrase was understood, in any take: none is kept."
    failure = None if outcome.kept else MonicaError(message, code="take_unintelligible")
    return replace(made, verdict=outcome.verdict, remade=outcome.takes > 0, failure=failure)
