"""A kept phrase that came out badly, made anew in its place."""

from __future__ import annotations

from monica.announcer import Announcer, SpeechRequest
from monica.errors import MonicaError, SynthesisFailed
from monica.store.card import Card
from monica.synthesis.take import Lane, Patience


class NoRemake(MonicaError):
    """A phrase that would not come out otherwise, or not under its own key."""

    status, code = 409, "remake_impossible"


def remake(announcer: Announcer, card: Card, patience: Patience) -> Card:
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
    said = announcer.announce(request, patience)
    if said.fault is not None:
        raise SynthesisFailed(f"The sound of the new take {said.fault}: the old one is kept.")
    (made,) = announcer.catalogue.pick([card.key])
    if made.entry.made == card.entry.made:
        raise SynthesisFailed("The cache could not be written: the old one is kept.")
    return made
