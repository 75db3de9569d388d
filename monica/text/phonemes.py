"""Words written in phonemes, and how they pass through rules that know letters only."""

from __future__ import annotations

import re
from functools import lru_cache

from monica.engine import PHONEMES
from monica.engine.registry import engine_names, engine_spec

STAND_INS = range(0x12000, 0x1239A)
"""Signs of Sumerian cuneiform. To every rule they are letters, and no announcement has any."""

_STAND_IN = re.compile(f"[{chr(STAND_INS[0])}-{chr(STAND_INS[-1])}]")


@lru_cache
def speaks_phonemes(engine: str | None) -> bool:
    """Return whether an engine of the registry speaks words in IPA. None is no engine in particular: it does not."""
    return engine in engine_names() and engine_spec(engine).check_ipa is not None


def in_brackets(ipa: str) -> str:
    """Write phonemes as an engine gets them, word by word: ⟦biɡ⟧ ⟦blajnd⟧. So a text is never cut inside of one."""
    return " ".join(f"⟦{word}⟧" for word in ipa.split())


class HiddenPhonemes:
    """The words of one text that are in phonemes. While the rules run, one letter stands for each.

    The rules would read the letters of IPA as words and its brackets as asides. Hiding the words from them costs less
    than having every rule know of brackets, and a rule that is written later needs to know nothing.
    """

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def hide(self, ipa: str) -> str:
        """Return what stands for these words. Beyond the number of stand-ins, which no text reaches, they are lost."""
        return " ".join(map(self._letter, ipa.split()))

    def hide_in(self, text: str, engine: str) -> str:
        """Hide the phonemes of a text that was prepared already, so that preparing it again changes nothing.

        What is in such brackets and is nothing that the engine can say stays as it is.
        """
        text = _STAND_IN.sub("", text)
        return PHONEMES.sub(lambda m: self._hide_sayable(m, engine), text) if "⟦" in text else text

    def show_in(self, text: str) -> str:
        """Put the phonemes back, in brackets."""
        if not self._letters:
            return text
        return text.translate({ord(letter): f"⟦{word}⟧" for word, letter in self._letters.items()})

    def _hide_sayable(self, match: re.Match[str], engine: str) -> str:
        check = engine_spec(engine).check_ipa
        try:
            if check is None or len(match[1].split()) != 1:
                return match[0]
            check(match[1])
        except ValueError:
            return match[0]
        return self.hide(match[1])

    def _letter(self, word: str) -> str:
        if word not in self._letters and len(self._letters) < len(STAND_INS):
            self._letters[word] = chr(STAND_INS[len(self._letters)])
        return self._letters.get(word, "")
