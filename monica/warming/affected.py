"""Kept phrases that are said differently by now, because the lexicon or the rules have changed."""

from __future__ import annotations

from collections.abc import Iterator

from monica.errors import InvalidText
from monica.store.catalogue import Catalogue
from monica.store.phrase import KeptPhrase
from monica.text import Lexicon
from monica.text.frontend import TextFrontend


def affected_phrases(
    frontend: TextFrontend, catalogue: Catalogue, changed: Lexicon | None = None
) -> Iterator[KeptPhrase]:
    """Yield the kept phrases whose text would be said differently now, the newest first.

    Only what the engine that speaks here has made: no one asks for the rest. A sentence of a page is affected if the
    page has no such sentence any more. Sentences that were kept before their page was noted are not found.
    changed: looks only at texts that mention one of these entries. Preparing every text of a full cache takes seconds.
    Raises CacheError.
    """
    for phrase in catalogue.phrases():
        try:
            recipe = phrase.metadata().recipe
        except ValueError:
            continue
        if recipe.engine != frontend.engine:
            continue
        written = recipe.page or recipe.text
        if changed is not None and not changed.mentions(written):
            continue
        try:
            prepared = frontend.prepare(written)
        except InvalidText:  # MAX_TEXT_LENGTH was higher then
            continue
        if recipe.said not in (prepared.sentences if recipe.page else (prepared.said,)):
            yield phrase
