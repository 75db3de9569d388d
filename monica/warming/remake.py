"""A kept phrase that came out badly, made anew in its place."""

from __future__ import annotations

from monica.announcer import Announcer
from monica.errors import MonicaError, SynthesisFailed
from monica.speech import SpeechRequest
from monica.store.card import Card
from monica.store.catalogue import Catalogue
from monica.synthesis.take import Lane, WaitFor


class NoRemake(MonicaError):
    """A phrase that would not come out otherwise, or not under its own key."""

    status, code = 409, "remake_impossible"


def remake(announcer: Announcer, catalogue: Catalogue, card: Card, wait_for: WaitFor) -> Card:
    """Have a phrase made anew in the background lane, and return what is kept then: live announcements go first.

    Raises NoRemake, and what `announce` raises; then the old one is kept.
    """
    try:
        recipe = card.label().recipe
    except ValueError:
        raise NoRemake(
            f"Of {card.key:.12} it is not known how it was asked for. Remove it: it is made again when it is wanted."
        ) from None
    if recipe.seed is not None:
        raise NoRemake(f"{card.key:.12} was asked for with the seed {recipe.seed}: it would come out the same.")
    request = SpeechRequest(
        text=recipe.text, voice=recipe.voice, params=recipe.params, lane=Lane.BACKGROUND, fresh=True
    )
    if announcer.key_of(request) != card.key:
        raise NoRemake(
            f"{card.key:.12} would be made under another key: its engine, voice, finish or lexicon is not what it was."
        )
    said = announcer.announce(request, wait_for)
    if said.defect is not None:
        raise SynthesisFailed(f"The sound of the new take {said.defect}: the old one is kept.")
    (made,) = catalogue.pick([card.key])
    if made.entry.made == card.entry.made:
        raise SynthesisFailed("The cache could not be written: the old one is kept.")
    return made
