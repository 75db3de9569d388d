"""Any Unicode in, tidy text out: NFC, no control characters, single spaces. Languages do not matter here."""

from __future__ import annotations

import unicodedata

# Control, format and surrogate characters are never spoken. A soft hyphen inside a word or a stray
# byte-order mark would otherwise reach the voice; a lone surrogate cannot even be encoded.
UNSPEAKABLE = {"Cc", "Cf", "Cs"}


def tidy(text: str) -> str:
    """Put text in NFC, drop control characters and fold white space. Idempotent; never raises."""
    text = " ".join(text.split())  # first, or the line feed between two words would join them
    if not text.isprintable():  # the common text has nothing to drop
        text = "".join(c for c in text if unicodedata.category(c) not in UNSPEAKABLE)
    return " ".join(unicodedata.normalize("NFC", text).split())


def has_words(text: str) -> bool:
    """Tell whether there is anything to say: at least one letter or digit of any script."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)
