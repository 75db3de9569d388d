"""A prepared text as a voice of Piper is given it: espeak-ng's phonemes, and their numbers.

Source: piper's phonemize_espeak and phoneme_ids: a sentence is ^ and its phonemes with _ after each, then $.
"""

from __future__ import annotations

import logging
import re
import unicodedata

from monica.engine.clauses import CLAUSE_END, SENTENCE_END, split, tidy_marks
from monica.engine.espeak_ipa import write_for_espeak
from monica.engine.espeak_library import LIBRARY
from monica.engine.piper.voice_config import VoiceConfig

BEGIN, PAD, END = "^", "_", "$"
MARKS = frozenset(".,;:!?")
MAX_PHONEMES = 220
"""Symbols of one piece, about ten seconds of sound. The model's memory grows with it: 15 MB a second."""
CLAUSE = 100
"""Symbols from which a sentence that is streamed is cut at a mark: the listener waits for no more than a clause."""
MAX_WORD = 60
"""Letters. The library reads no more than some hundred as a word; what is longer is read in parts."""

NEAREST = {
    "ɡ": "g", "g": "ɡ", "ʁ": "ʀrɹ", "ʀ": "ʁrɹ", "r": "ɾɹʁ", "ɹ": "rɾʁ", "ɾ": "rɹʁ", "ɻ": "ɹrʁ", "x": "χkʁ", "χ": "xʁk",
    "ɣ": "ɡgx", "ç": "ʃxh", "θ": "st", "ð": "zd", "h": "ɦ", "ɦ": "h", "ʎ": "jl", "ɫ": "l", "ɬ": "l", "ɲ": "n", "ŋ": "n",
    "ɱ": "m", "ɥ": "wy", "w": "u", "j": "i", "ʍ": "w", "β": "vb", "ɸ": "f", "ʔ": "", "ʃ": "s", "ʒ": "z", "ɕ": "ʃ",
    "ʑ": "ʒ", "ʂ": "ʃ", "ʐ": "ʒ", "c": "k", "ɟ": "ɡg", "q": "k", "ɖ": "d", "ʈ": "t", "ɳ": "n", "ɭ": "l", "ʋ": "v",
    "ə": "œøɐe", "ɐ": "aə", "ɑ": "a", "ɒ": "ɔo", "æ": "ɛa", "ʌ": "ɐaə", "ɜ": "œəɛ", "ɚ": "əœ", "ɝ": "ɜə", "ᵻ": "ɪi",
    "ɨ": "iɪ", "ɪ": "i", "ʏ": "y", "y": "iu", "ʊ": "u", "ɯ": "u", "ɵ": "øo", "ø": "œe", "œ": "øɛ", "ɛ": "e", "e": "ɛ",
    "ɔ": "o", "o": "ɔ", "ɤ": "o", "ɘ": "ə", "\N{COMBINING TILDE}": "n",
}  # fmt: skip
"""What is said in place of a symbol that a voice lacks: the first of these that it has."""
SILENT = frozenset("ˈˌ'ːˑ-‿\u0361\u032f\u0329")
"""Stress, length and ties. A voice without them says the same phonemes."""

_LANGUAGE = re.compile(r"\([a-z-]+\)")  # espeak-ng's marks around words of another language
_OTHER_MARKS = str.maketrans({"…": ".", "(": ",", ")": ",", "–": ",", "—": ",", "«": " ", "»": " ", "“": " ",
                              "”": " ", '"': " "})  # fmt: skip
_LONG_WORD = re.compile(rf"[^\s⟦⟧]{{{MAX_WORD}}}(?=[^\s⟦⟧])")

logger = logging.getLogger(__name__)


class PhonemeWriter:
    """Writes texts for one voice."""

    def __init__(self, config: VoiceConfig) -> None:
        self._config = config
        self._told: set[str] = set()

    def write_pieces(self, text: str, *, stream: bool = False) -> list[str]:
        """Write a prepared text in phonemes: a piece for each sentence, several if it is long; none if nothing is said.

        A piece ends with the mark that ends it in the text. stream: cut long sentences at their clauses.
        Raises LookupError if espeak-ng lacks the voice's language.
        """
        text = _LONG_WORD.sub(r"\g<0> ", tidy_marks(text.translate(_OTHER_MARKS)))
        pieces: list[str] = []
        for sentence in split(text, SENTENCE_END):
            clauses = [read for clause in split(sentence, CLAUSE_END) if (read := self._read(clause))]
            if clauses and clauses[-1][-1] not in MARKS:
                clauses[-1] += "."
            pieces += _join(clauses, CLAUSE if stream else MAX_PHONEMES)
        return pieces

    def ids(self, piece: str) -> list[int]:
        """Return the numbers of a piece's symbols, as the model is given them."""
        ids = self._config.ids
        numbers = [*ids[BEGIN], *ids[PAD]]
        for symbol in piece:
            numbers += [*ids[symbol], *ids[PAD]]
        return [*numbers, *ids[END]]

    def _read(self, clause: str) -> str:
        """Return the phonemes of a clause, and its mark. Returns "" if there is nothing to say."""
        words, mark = (clause[:-1], clause[-1]) if clause[-1:] in MARKS else (clause, "")
        read = _LANGUAGE.sub("", LIBRARY.read_phonemes(write_for_espeak(words), self._config.espeak_voice))
        said = "".join(self._known(symbol) for symbol in unicodedata.normalize("NFD", read)).strip()
        if not any(symbol.isalpha() for symbol in said):
            return ""
        return said + "".join(map(self._known, mark))

    def _known(self, symbol: str) -> str:
        """Return a symbol as the voice knows it: itself, or the nearest, of which the log tells once."""
        known = self._config.ids
        if symbol in known:
            return symbol
        nearest = next((other for other in NEAREST.get(symbol, "") if other in known), "")
        if symbol not in self._told and symbol not in SILENT:
            self._told.add(symbol)
            instead = f"{nearest} is said" if nearest else "nothing is said"
            logger.warning("piper: %s has no phoneme %s: %s in its place", self._config.name, symbol, instead)
        return nearest


def _join(clauses: list[str], longest: int) -> list[str]:
    """Join clauses to pieces of so many symbols, if they fit; cut those that exceed MAX_PHONEMES, at spaces if any."""
    pieces: list[str] = []
    for clause in clauses:
        if pieces and len(pieces[-1]) + 1 + len(clause) <= longest:
            pieces[-1] += " " + clause
            continue
        while len(clause) > MAX_PHONEMES:
            cut = clause.rfind(" ", 1, MAX_PHONEMES) + 1 or MAX_PHONEMES
            pieces.append(clause[:cut].rstrip())
            clause = clause[cut:]
        pieces.append(clause)
    return pieces
