"""Text made ready for the voice."""

from monica.text.unicode import has_words, tidy

__all__ = ["has_words", "tidy"]
