"""Makes a new take of a kept phrase that came out badly, in place of the old one."""

from __future__ import annotations

from monica.announcer import Announcer
from monica.errors import MonicaError, SynthesisFailed
from monica.speech import SpeechRequest
from monica.store.catalogue import Catalogue
from monica.store.phrase import KeptPhrase
from monica.synthesis.take import Lane, WaitFor


class NoRemake(MonicaError):
    """A phrase that would come out the same, or would be kept under another key."""

    status, code = 409, "remake_impossible"


def remake(announcer: Announcer, catalogue: Catalogue, phrase: KeptPhrase, wait_for: WaitFor) -> KeptPhrase:
    """Make a phrase again in the background lane, where live announcements go first, and return what is kept then.

    Raises NoRemake, or what `announce` raises; the old take is kept then.
    """
    try:
        recipe = phrase.metadata().recipe
    except ValueError:
        raise NoRemake(
            f"{phrase.key:.12}: it is not known how it was asked for. Remove it: the next request makes it again."
        ) from None
    if recipe.seed is not None:
        raise NoRemake(f"{phrase.key:.12} was asked for with the seed {recipe.seed}: it would come out the same.")
    request = SpeechRequest(
        text=recipe.text, voice=recipe.voice, params=recipe.params, lane=Lane.BACKGROUND, fresh=True
    )
    if announcer.key_of(request) != phrase.key:
        raise NoRemake(
            f"{phrase.key:.12} would be made under another key: its engine, voice, finish or lexicon has changed."
        )
    said = announcer.announce(request, wait_for)
    if said.defect is not None:
        raise SynthesisFailed(f"The sound of the new take {said.defect}: the old one is kept.")
    (made,) = catalogue.find_by_prefix([phrase.key])
    if made.stored == phrase.stored:
        raise SynthesisFailed("The cache could not be written: the old one is kept.")
    return made
