"""Text made ready for the voice."""

from monica.text.lexicon import Lexicon, LexiconError, LexiconFile
from monica.text.pipeline import Normaliser, Spoken
from monica.text.sentences import split_sentences
from monica.text.unicode import has_words, tidy

__all__ = [
    "Lexicon",
    "LexiconError",
    "LexiconFile",
    "Normaliser",
    "Spoken",
    "has_words",
    "split_sentences",
    "tidy",
]
