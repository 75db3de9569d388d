"""Another take of a phrase, beside the one that is kept, for a person to choose between."""

from __future__ import annotations

import secrets
from dataclasses import replace

from monica.announcer import Announcer
from monica.engine import MAX_SEED
from monica.errors import SynthesisFailed
from monica.speech import SpeechRequest
from monica.store.cache import CacheError
from monica.store.catalogue import Catalogue
from monica.store.recipe import Recipe
from monica.store.review import Choice
from monica.store.side_takes import SideTakes
from monica.synthesis.faults import describe_faults
from monica.synthesis.take import Lane, WaitFor
from monica.warming.remake import NoRemake


def make_take(
    announcer: Announcer, catalogue: Catalogue, side_takes: SideTakes, phrase: Choice, wait_for: WaitFor
) -> None:
    """Make a take with a seed of its own, and set it aside, with the kept one beside it. The phrase stays as it is.

    Live announcements go first. Raises NoRemake, or what `announce` raises.
    """
    recipe = _recipe(phrase)
    request = SpeechRequest(
        text=recipe.text,
        voice=recipe.voice,
        params=recipe.params,
        seed=secrets.randbelow(MAX_SEED + 1),
        lane=Lane.BACKGROUND,
        fallback=False,
    )
    if announcer.key_of(replace(request, seed=None)) != phrase.key:
        raise NoRemake(f"{phrase.key:.12} is said differently by now, or by another voice: make it again instead.")
    made = announcer.announce(request, wait_for)
    if made.faults:
        raise SynthesisFailed(f"The sound of the new take {describe_faults(made.faults)}.")
    if made.key is None:
        raise SynthesisFailed("The cache could not be written: the new take is lost.")
    (take,) = catalogue.find_by_prefix([made.key])
    sound, metadata = catalogue.read_sound(take), take.metadata()
    catalogue.remove([take])  # as a phrase of its own it would be listed, and be in the way
    if take.sha256 in {known.sha256 for known in (phrase.kept, *phrase.takes) if known is not None}:
        raise NoRemake("This engine says a text the same way each time.")
    kept = phrase.kept
    if kept is not None and not any(map(phrase.is_kept, phrase.takes)):
        side_takes.add(phrase.key, catalogue.read_sound(kept), kept.metadata())
    drawn = request.seed if metadata.drawn is None else metadata.drawn
    if not side_takes.add(phrase.key, sound, replace(metadata, recipe=recipe, drawn=drawn)):
        raise CacheError("The cache could not be written: the new take is lost.")


def _recipe(phrase: Choice) -> Recipe:
    try:
        recipe = phrase.metadata().recipe
    except ValueError:
        raise NoRemake(f"{phrase.key:.12}: it is not known how it was asked for.") from None
    if recipe.page:
        raise NoRemake(f"{phrase.key:.12} is a sentence of a longer text: make that again instead.")
    if recipe.seed is not None:
        raise NoRemake(f"{phrase.key:.12} was asked for with the seed {recipe.seed}: it would come out the same.")
    return recipe
