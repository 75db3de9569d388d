"""Prepares a text for the engine: normalises it, and splits a long one into sentences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from monica.config import Settings
from monica.errors import InvalidText
from monica.text import Lexicon, LexiconFile, Normaliser, has_words, split_sentences, tidy

MAX_UNSPLIT = 250
"""Characters. A longer text is split into sentences, and each sentence is a take of its own."""


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text as it is said."""

    text: str
    """The whole text in words."""
    sentences: tuple[str, ...]
    """The parts of the text, each of which is a take of its own."""
    rules: tuple[str, ...]
    """Names of the rules that changed something, in the order in which each first did."""

    def as_dict(self) -> dict[str, Any]:
        return {"text": self.text, "sentences": list(self.sentences), "rules": list(self.rules)}


class TextFrontend:
    """Prepares texts with the venue's lexicon, read again when it changes. Opens no store and needs no engine.

    Raises ConfigError if the lexicon cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._max_length = settings.max_text_length
        self._lexicon = LexiconFile(settings.lexicon) if settings.lexicon else Lexicon.default()
        self._normaliser = Normaliser(language=settings.language, lexicon=self._lexicon)
        # The same phrases come again and again, and half a millisecond is most of what a cached answer may take.
        self._prepare_cached = lru_cache(maxsize=1024)(self._prepare)

    def prepare(self, text: str) -> PreparedText:
        """Return a text as it is said. Raises InvalidText if it is too long or says nothing."""
        return self._prepare_cached(text, self._lexicon.current())

    def _prepare(self, text: str, _lexicon: Lexicon) -> PreparedText:
        """Prepare a text. The lexicon is an argument only to be part of the key in `_prepare_cached`."""
        length = len(tidy(text))
        if length > self._max_length:
            message = f"Text is {length} characters, at most {self._max_length}."
            raise InvalidText(message, code="text_too_long", param="text")
        normalised = self._normaliser.normalise(text)
        said = normalised.text
        if not has_words(said):
            raise InvalidText("The text has nothing to say.", param="text")
        sentences = split_sentences(said, MAX_UNSPLIT) if len(said) > MAX_UNSPLIT else [said]
        return PreparedText(said, tuple(sentences), normalised.rules)
