"""What rosters, slots and fields may be called."""

from __future__ import annotations

import re

NAME = r"[\w-]{1,40}"
RULE = "a name has letters, digits, _ and -, 40 at most"

_NAME = re.compile(NAME)


def is_book_name(text: str) -> bool:
    """Tell whether a roster, a slot or a field may be called this."""
    return _NAME.fullmatch(text) is not None
