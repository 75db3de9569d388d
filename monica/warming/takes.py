"""More takes of a kept phrase, side by side with the one that is said, for a person to choose between."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from monica.announcer import Announcer
from monica.engine import MAX_SEED
from monica.errors import SynthesisFailed
from monica.speech import SpeechRequest
from monica.store.cache import CacheError
from monica.store.catalogue import Catalogue
from monica.store.metadata import Metadata
from monica.store.phrase import KeptPhrase
from monica.store.recipe import Recipe
from monica.synthesis.faults import describe_faults
from monica.synthesis.take import Lane, WaitFor
from monica.warming.remake import NoRemake


def another_take(announcer: Announcer, catalogue: Catalogue, phrase: KeptPhrase, wait_for: WaitFor) -> KeptPhrase:
    """Make a take with a seed of its own, and return it. It is kept under a key of its own; the phrase stays as it is.

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
    if take.sha256 == phrase.sha256:
        catalogue.remove([take])
        raise NoRemake("This engine says a text the same way each time.")
    return take


def choose_take(catalogue: Catalogue, phrase: KeptPhrase, take: KeptPhrase) -> KeptPhrase:
    """Say a phrase as in one of its takes from now on, and return it. Raises NoRemake, UnknownPhrase, CacheError."""
    recipe, chosen = _recipe(phrase), take.metadata()
    if replace(chosen.recipe, seed=None).key != phrase.key:
        raise NoRemake(f"{take.key:.12} is no take of {phrase.key:.12}.")
    drawn = chosen.recipe.seed if chosen.drawn is None else chosen.drawn
    if not catalogue.put(phrase.key, catalogue.read_sound(take), Metadata(recipe, drawn, chosen.seconds, time.time())):
        raise CacheError("The cache could not be written: the old take is kept.")
    if take.key != phrase.key:
        catalogue.remove([take])
    (found,) = catalogue.find_by_prefix([phrase.key])
    return found


def _recipe(phrase: KeptPhrase) -> Recipe:
    try:
        recipe = phrase.metadata().recipe
    except ValueError:
        raise NoRemake(f"{phrase.key:.12}: it is not known how it was asked for.") from None
    if recipe.page:
        raise NoRemake(f"{phrase.key:.12} is a sentence of a longer text: make that again instead.")
    if recipe.seed is not None:
        raise NoRemake(f"{phrase.key:.12} was asked for with the seed {recipe.seed}: it would come out the same.")
    return recipe
