"""Makes a new take of a kept phrase, in place of one that came out badly, or that is said differently by now."""

from __future__ import annotations

from dataclasses import replace

from monica.announcer import Announcer
from monica.errors import MonicaError, SynthesisFailed
from monica.speech import SpeechRequest
from monica.store.catalogue import Catalogue, UnknownPhrase
from monica.store.phrase import KeptPhrase
from monica.synthesis.take import Lane, WaitFor


class NoRemake(MonicaError):
    """A phrase that would come out the same, or would be kept under another key."""

    status, code = 409, "remake_impossible"


def remake(announcer: Announcer, catalogue: Catalogue, phrase: KeptPhrase, wait_for: WaitFor) -> KeptPhrase:
    """Make a phrase again in the background lane, where live announcements go first, and return what is kept then.

    If the lexicon or the rules have changed how its text is said, the new take has another key. It takes over the pin,
    and the old one is removed. Raises NoRemake, or what `announce` raises; the old take is kept then.
    """
    try:
        recipe = phrase.metadata().recipe
    except ValueError:
        raise NoRemake(
            f"{phrase.key:.12}: it is not known how it was asked for. Remove it: the next request makes it again."
        ) from None
    said_now = announcer.said(recipe.text)
    same = said_now == recipe.said
    if same and recipe.seed is not None:
        raise NoRemake(f"{phrase.key:.12} was asked for with the seed {recipe.seed}: it would come out the same.")
    request = SpeechRequest(
        text=recipe.text,
        voice=recipe.voice,
        params=recipe.params,
        seed=recipe.seed,
        lane=Lane.BACKGROUND,
        fresh=same,
    )
    key = announcer.key_of(request)
    if replace(recipe, said=said_now).key != key:
        raise NoRemake(f"{phrase.key:.12} would be made under another key: its engine, voice or finish has changed.")
    announcement = announcer.announce(request, wait_for)
    if announcement.defect is not None:
        raise SynthesisFailed(f"The sound of the new take {announcement.defect}: the old one is kept.")
    try:
        (made,) = catalogue.find_by_prefix([key])
    except UnknownPhrase:
        made = phrase
    if made.stored == phrase.stored:
        raise SynthesisFailed("The cache could not be written: the old one is kept.")
    if same:
        return made
    catalogue.remove([phrase])
    if phrase.pinned:
        catalogue.pin([made])
        (made,) = catalogue.find_by_prefix([key])
    return made
