"""The names that rosters, placeholders and fields may have."""

from __future__ import annotations

import re

NAME = r"[\w-]{1,40}"
NAME_RULE = "a name has letters, digits, _ and -, 40 at most"

_NAME = re.compile(NAME)


def is_book_name(text: str) -> bool:
    """Tell whether a roster, a placeholder or a field may have this name."""
    return _NAME.fullmatch(text) is not None
