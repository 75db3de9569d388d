"""The phrase book: a TOML file of rosters and of phrases with placeholders, and every phrase they make."""

from monica.warming.book.book import MAX_PHRASES, PhraseBook
from monica.warming.book.errors import BookError
from monica.warming.book.phrase import Phrase
from monica.warming.book.source import MAX_SIZE

__all__ = ["MAX_PHRASES", "MAX_SIZE", "BookError", "Phrase", "PhraseBook"]
