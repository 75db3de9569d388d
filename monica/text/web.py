"""Web and e-mail addresses, said aloud: point, arobase, slash."""

from __future__ import annotations

import re

from monica.text.words import spell_out

# Top-level domains seen in France, and those of poker. If any word could follow the dot, a missing space between two
# sentences would make an address.
TOP_LEVEL = "com|fr|org|net|eu|be|ch|io|tv|gg|re|lu|mc|info|poker|paris"
SPELLED_TOP_LEVEL = {"fr", "eu", "be", "ch", "io", "tv", "gg", "re", "lu", "mc"}

EMAIL = re.compile(r"(?<![\w.+@-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
URL = re.compile(r"(?<![\w@./-])(?:https?://|www\.)[^\s<>\"«»,;]+", re.IGNORECASE)
DOMAIN = re.compile(
    rf"(?<![\w@./-])(?:[\w-]{{1,63}}\.){{1,4}}(?:{TOP_LEVEL})(?:/[^\s<>\"«»,;]{{0,200}})?(?![\w-]|\.\w)",
    re.IGNORECASE,
)
ACCOUNT = re.compile(r"(?<![\w.])@(?=\w)")
HASHTAG = re.compile(r"(?<![\w#&])#(?=[^\W\d])")

NOT_SPOKEN = re.compile(r"^(?:https?://)?(?:www\.)?", re.IGNORECASE)
QUERY = re.compile(r"[?#].*", re.DOTALL)
END_OF_SENTENCE = re.compile(r"[.:!?…)\]}'*]{1,20}$")
MARKS = {
    ".": " point ", "/": " slash ", "@": " arobase ", "-": " tiret ", "_": " tiret bas ",
    ":": " deux points ", "&": " et ", "=": " égale ", "+": " plus ", "%": " pour cent ", "~": " tilde ",
}  # fmt: skip
MARK = re.compile(r"[./@\-_:&=+%~]")


def read_addresses(text: str) -> str:
    """Say addresses. Of a link, only the host and the path are said."""
    if "." in text or "://" in text:
        text = EMAIL.sub(lambda m: _say_address(m[0]), text)
        text = URL.sub(lambda m: _say_address(m[0]), text)
        text = DOMAIN.sub(lambda m: _say_address(m[0]), text)
    text = ACCOUNT.sub("arobase ", text)
    return HASHTAG.sub("hashtag ", text)


def _say_address(address: str) -> str:
    ending = END_OF_SENTENCE.search(address)
    mark = ending[0] if ending else ""
    bare = address.removesuffix(mark) if mark else address
    bare = QUERY.sub("", NOT_SPOKEN.sub("", bare)).rstrip("/-.")
    if not any(c.isalnum() for c in bare):
        return address
    domain = bare.partition("/")[0].rpartition(".")
    if domain[1] and domain[2].lower() in SPELLED_TOP_LEVEL:
        host, path = domain[0], bare[len(bare.partition("/")[0]) :]
        spoken = f"{_say_marks(host)} point {spell_out(domain[2])}{_say_marks(path)}"
    else:
        spoken = _say_marks(bare)
    return " ".join(spoken.split()) + mark


def _say_marks(part: str) -> str:
    return MARK.sub(lambda m: MARKS[m[0]], part)
