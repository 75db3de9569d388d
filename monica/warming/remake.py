"""Makes a new take of a kept phrase, in place of one that came out badly, or that is said differently by now."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from monica.announcer import Announcer
from monica.errors import MonicaError, SynthesisFailed
from monica.speech import SpeechRequest
from monica.store.cache import CacheError
from monica.store.catalogue import Catalogue, UnknownPhrase
from monica.store.phrase import KeptPhrase
from monica.store.recipe import Recipe
from monica.synthesis.faults import describe_faults
from monica.synthesis.take import Lane, WaitFor

CACHE_FAILED = "The cache could not be written: the old one is kept."


class NoRemake(MonicaError):
    """A phrase that would come out the same, or would be kept under another key."""

    status, code = 409, "remake_impossible"


def remake(announcer: Announcer, catalogue: Catalogue, phrase: KeptPhrase, wait_for: WaitFor) -> KeptPhrase:
    """Make a phrase again in the background lane, where live announcements go first, and return what is kept then.

    If the lexicon or the rules have changed how its text is said, the new take has another key. It takes over the pin,
    and the old one is removed. For a sentence that its page does not have any more, what the page lacks is made; the
    sentence that is most like it takes its place. Raises NoRemake, CacheError, or what `announce` raises; the old take
    is kept then.
    """
    try:
        recipe = phrase.metadata().recipe
    except ValueError:
        raise NoRemake(
            f"{phrase.key:.12}: it is not known how it was asked for. Remove it: the next request makes it again."
        ) from None
    if recipe.page and recipe.said not in (sentences := announcer.sentences(recipe.page)):
        (like,) = get_close_matches(recipe.said, sentences, n=1, cutoff=0)
        made = _remake_page(announcer, catalogue, recipe, replace(recipe, said=like).key, wait_for)
        return _replace(catalogue, phrase, made)
    said_now = announcer.said(recipe.text)
    same = said_now == recipe.said
    if same and recipe.seed is not None:
        raise NoRemake(f"{phrase.key:.12} was asked for with the seed {recipe.seed}: it would come out the same.")
    request = _request(recipe, recipe.text, fresh=same)
    key = announcer.key_of(request)
    if replace(recipe, said=said_now).key != key:
        raise _another_key(phrase.key)
    _make(announcer, request, wait_for)
    made = _find(catalogue, key) or phrase
    if made.stored == phrase.stored:
        raise CacheError(CACHE_FAILED)
    return made if same else _replace(catalogue, phrase, made)


def _remake_page(
    announcer: Announcer, catalogue: Catalogue, sentence: Recipe, key: str, wait_for: WaitFor
) -> KeptPhrase:
    """Make what the page of a sentence lacks, and return its sentence with this key."""
    request = _request(sentence, sentence.page, fresh=False)
    page_key = announcer.key_of(request)
    if replace(sentence, said=announcer.said(sentence.page)).key != page_key:
        raise _another_key(sentence.key)
    if (made := _find(catalogue, key)) is not None:
        return made
    # A page that is kept is not made of its sentences again, unless it is asked for.
    _make(announcer, replace(request, fresh=_find(catalogue, page_key) is not None), wait_for)
    if (made := _find(catalogue, key)) is None:
        raise CacheError(CACHE_FAILED)
    return made


def _request(recipe: Recipe, text: str, *, fresh: bool) -> SpeechRequest:
    return SpeechRequest(
        text=text, voice=recipe.voice, params=recipe.params, seed=recipe.seed, lane=Lane.BACKGROUND, fresh=fresh
    )


def _make(announcer: Announcer, request: SpeechRequest, wait_for: WaitFor) -> None:
    announcement = announcer.announce(request, wait_for)
    if announcement.faults:
        raise SynthesisFailed(f"The sound of the new take {describe_faults(announcement.faults)}: the old one is kept.")


def _find(catalogue: Catalogue, key: str) -> KeptPhrase | None:
    try:
        (found,) = catalogue.find_by_prefix([key])
    except UnknownPhrase:
        return None
    return found


def _replace(catalogue: Catalogue, old: KeptPhrase, made: KeptPhrase) -> KeptPhrase:
    """Remove the old take. The new one takes over its pin."""
    catalogue.remove([old])
    if not old.pinned:
        return made
    catalogue.pin([made])
    (pinned,) = catalogue.find_by_prefix([made.key])
    return pinned


def _another_key(key: str) -> NoRemake:
    return NoRemake(f"{key:.12} would be made under another key: its engine, voice or finish has changed.")
