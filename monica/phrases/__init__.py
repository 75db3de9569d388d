"""The phrase book: a TOML file of rosters and phrases with slots, and every phrase they make."""

from monica.phrases.book import MAX_PHRASES, PhraseBook
from monica.phrases.errors import BookError
from monica.phrases.phrase import Phrase
from monica.phrases.source import MAX_SIZE

__all__ = ["MAX_PHRASES", "MAX_SIZE", "BookError", "Phrase", "PhraseBook"]
