"""Prepares a text for the engine: normalises it, and splits a long one into sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from monica.config import Settings
from monica.engine.selection import choose_embedded
from monica.errors import InvalidText
from monica.text import Lexicon, LexiconFile, NormalisedText, Normaliser, has_words, split_sentences, tidy
from monica.text.markup import MAX_PAUSE_S, split_at_pauses, write_pause

MAX_UNSPLIT = 250
"""Characters. A longer text is split into sentences, and each sentence is a take of its own."""
PAUSE_S = 0.35
"""Seconds of silence between two takes of a text, unless the sender asks for another pause there."""


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text as it is said."""

    text: str
    """The whole text in words. Words that the engine speaks as phonemes are in IPA, as ⟦blajnd⟧."""
    sentences: tuple[str, ...]
    """The parts of the text, each of which is a take of its own."""
    pauses_s: tuple[float, ...]
    """Seconds of silence: before the first sentence, between two, and after the last. One more than the sentences."""
    rules: tuple[str, ...]
    """Names of the rules that changed something, in the order in which each first did."""
    said: str
    """The text in words with the pauses that the sender asks for, which the key of the whole is made of."""

    @property
    def is_one_take(self) -> bool:
        """Whether the sound of the text is that of its only sentence, without any silence around it."""
        return len(self.sentences) == 1 and not any(self.pauses_s)

    def as_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "sentences": list(self.sentences),
            "pauses_s": list(self.pauses_s),
            "rules": list(self.rules),
        }


class TextFrontend:
    """Prepares texts with the venue's lexicon, read again when it changes. Opens no store and needs no engine.

    Each engine has its own reading of a word in the lexicon. speaker: returns the name of the engine that speaks here,
    or None as long as it has not been chosen; then it is the one that the settings name, or the embedded one if they
    leave the choice.
    Raises ConfigError if the lexicon cannot be used.
    """

    def __init__(self, settings: Settings, speaker: Callable[[], str | None] = lambda: None) -> None:
        self._speaker = speaker
        self._named = choose_embedded(settings)[0] if settings.engine == "auto" else settings.engine
        self._max_length = settings.max_text_length
        self.lexicon_file = LexiconFile(settings.lexicon) if settings.lexicon else None
        """The venue's lexicon; None if the settings name no file."""
        self._lexicon = self.lexicon_file or Lexicon.default()
        self._normaliser = Normaliser(language=settings.language, lexicon=self._lexicon)
        # The same phrases come again and again, and half a millisecond is most of what a cached answer may take.
        self._prepare_cached = lru_cache(maxsize=1024)(self._prepare)

    @property
    def engine(self) -> str:
        """The name of the engine whose readings `prepare` gives."""
        return self._speaker() or self._named

    @property
    def lexicon_words(self) -> frozenset[str]:
        """The words of the lexicon's entries, in lower case without accents."""
        return self._lexicon.current().words

    def prepare(self, text: str, engine: str | None = None) -> PreparedText:
        """Return a text as it is said. Raises InvalidText if it is too long or says nothing.

        engine: the name of the engine that will say it; None for the one that speaks here.
        """
        return self._prepare_cached(text, engine or self.engine, self._lexicon.current())

    def _prepare(self, text: str, engine: str, _lexicon: Lexicon) -> PreparedText:
        """Prepare a text. The lexicon is an argument only to be part of the key in `_prepare_cached`."""
        length = len(tidy(text))
        if length > self._max_length:
            message = f"Text is {length} characters, at most {self._max_length}."
            raise InvalidText(message, code="text_too_long", param="text")
        parts: list[NormalisedText] = []
        asked_s = [0.0]  # before the first part, and after each
        for part, pause_s in split_at_pauses(text):
            normalised = self._normaliser.normalise(part, engine)
            if has_words(normalised.text):
                parts.append(normalised)
                asked_s.append(0.0)
            asked_s[-1] = min(asked_s[-1] + pause_s, MAX_PAUSE_S)
        if not parts:
            raise InvalidText("The text has nothing to say.", param="text")
        return _put_together(parts, asked_s)


def _put_together(parts: list[NormalisedText], asked_s: list[float]) -> PreparedText:
    sentences: list[str] = []
    marks = [write_pause(seconds) if seconds else "" for seconds in asked_s]
    said, pauses_s = [marks[0]], asked_s[:1]
    rules = ["markup"] if any(asked_s) else []
    for part, mark, after_s in zip(parts, marks[1:], asked_s[1:], strict=True):
        pieces = split_sentences(part.text, MAX_UNSPLIT) if len(part.text) > MAX_UNSPLIT else [part.text]
        sentences += pieces
        pauses_s += [*[PAUSE_S] * (len(pieces) - 1), after_s]
        said += [part.text, mark]
        rules += part.rules
    return PreparedText(
        text=" ".join(part.text for part in parts),
        sentences=tuple(sentences),
        pauses_s=tuple(pauses_s),
        rules=tuple(dict.fromkeys(rules)),
        said=" ".join(filter(None, said)),
    )
