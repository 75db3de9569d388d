"""Texts as they are said: in words, a long one sentence by sentence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from monica.config import Settings
from monica.errors import InvalidText
from monica.text import Lexicon, LexiconFile, Normaliser, has_words, split_sentences, tidy

SENTENCES_BEYOND = 250  # characters; a longer text is said sentence by sentence


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text as it is said. sentences: what is a take of its own. rules: those that changed something, in order."""

    text: str
    sentences: tuple[str, ...]
    rules: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"text": self.text, "sentences": list(self.sentences), "rules": list(self.rules)}


class TextFrontend:
    """Spells texts, by the venue's lexicon as it is just now. Raises ConfigError where that cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self._longest = settings.max_text_length
        self._lexicon = LexiconFile(settings.lexicon) if settings.lexicon else Lexicon.default()
        self._normaliser = Normaliser(language=settings.language, lexicon=self._lexicon)
        # A phrase comes again and again, and half a millisecond is most of what a cached answer may take.
        self._spell_once = lru_cache(maxsize=1024)(self._spell)

    def prepare(self, text: str) -> PreparedText:
        """Return a text as it is said. Raises InvalidText where it is too long or says nothing."""
        return self._spell_once(text, self._lexicon.current())

    def _spell(self, text: str, _lexicon: Lexicon) -> PreparedText:
        length = len(tidy(text))
        if length > self._longest:
            message = f"Text is {length} characters, at most {self._longest}."
            raise InvalidText(message, code="text_too_long", param="text")
        spoken = self._normaliser.normalise(text)
        if not has_words(spoken.text):
            raise InvalidText("The text has nothing to say.", param="text")
        said = spoken.text
        sentences = split_sentences(said, SENTENCES_BEYOND) if len(said) > SENTENCES_BEYOND else [said]
        return PreparedText(said, tuple(sentences), spoken.rules)
