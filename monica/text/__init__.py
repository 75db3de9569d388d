"""Text normalisation: a text as it is written becomes the words a voice says."""

from monica.text.lexicon import Lexicon
from monica.text.lexicon_entries import LexiconError
from monica.text.lexicon_file import LexiconFile
from monica.text.normaliser import NormalisedText, Normaliser
from monica.text.sentences import split_sentences
from monica.text.unicode import has_words, tidy

__all__ = [
    "Lexicon",
    "LexiconError",
    "LexiconFile",
    "NormalisedText",
    "Normaliser",
    "has_words",
    "split_sentences",
    "tidy",
]
