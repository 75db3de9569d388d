"""Cuts a text into pieces of a length a voice says well. Joined by single spaces, they are the text again."""

from __future__ import annotations

import re

MIN_PIECE = 40
"""Characters. A shorter piece is joined to its neighbour: short texts are the model's weakest input."""

STOP = re.compile(r"[.!?…][\"')\]»]{0,3}(?= )")
# A full stop after one of these, after a single letter, or between letters does not end a sentence.
ABBREVIATIONS = frozenset({
    "m", "mm", "mme", "mmes", "mlle", "mlles", "dr", "pr", "me", "mgr", "st", "ste", "n°", "no", "nos",
    "art", "av", "bd", "cf", "chap", "ch", "éd", "env", "ex", "fig", "hab", "inf", "max", "min", "p", "pp",
    "tél", "vol", "vs", "janv", "févr", "fév", "avr", "juil", "sept", "oct", "nov", "déc", "lun", "mar",
    "mer", "jeu", "ven", "sam", "dim", "approx", "moy", "réf",
})  # fmt: skip
# The number of an item belongs to the item: "deux. Les recaves sont ouvertes."
UNIT = (
    "(?:une?|deux|trois|quatre|cinq|six|sept|huit|neuf|dix|onze|douze|treize|quatorze|quinze|seize|vingt|trente"
    "|quarante)"
)
ITEM_NUMBER = re.compile(rf"(?:^|[.:;!?…] )(?:\d{{1,2}}|{UNIT}(?:(?:-| et ){UNIT}){{0,2}})$", re.IGNORECASE)
STRONG = re.compile(r"[;:.!?…](?= )")
COMMA = re.compile(r",(?= )")
LINK = re.compile(r" (?=(?:et|ou|mais|car|donc|puis|qui|que|dont|où|avec|pour|avant|après|quand|si)(?: |'))")
SPACE = re.compile(r" ")


def split_sentences(text: str, limit: int = 250) -> list[str]:
    """Cut a text at its sentences, and sentences longer than `limit` characters at their clauses.

    A word that is longer than the limit is not cut.
    """
    text = " ".join(text.split())
    if not text:
        return []
    pieces = [piece for sentence in _split_at_stops(text) for piece in _split_clauses(sentence, limit)]
    return _join_short(pieces, limit)


def _split_at_stops(text: str) -> list[str]:
    sentences, start = [], 0
    for stop in STOP.finditer(text):
        if _ends_sentence(text, stop):
            sentences.append(text[start : stop.end()])
            start = stop.end() + 1
    return [*sentences, text[start:]]


def _ends_sentence(text: str, stop: re.Match[str]) -> bool:
    after = text[stop.end() + 1]
    if stop[0][0] == "…":
        return not after.islower()
    if stop[0][0] != ".":
        return True
    if _is_item_number(text, stop.start()):
        return False
    word = text[max(0, stop.start() - 20) : stop.start()].rpartition(" ")[2].lstrip("(«\"'[").lower()
    word = word.rpartition("'")[2]
    if word == "etc":
        return not after.islower()
    is_initial = len(word) == 1 or (len(word) > 1 and word[-2] in ".-")
    return not (word in ABBREVIATIONS or (is_initial and word[-1:].isalpha()))


def _is_item_number(text: str, stop: int) -> bool:
    return ITEM_NUMBER.search(text[max(0, stop - 24) : stop]) is not None


def _split_clauses(sentence: str, limit: int) -> list[str]:
    pieces = []
    while len(sentence) > limit:
        cut = _find_cut(sentence, limit)
        if cut is None:
            break
        pieces.append(sentence[:cut])
        sentence = sentence[cut + 1 :]
    return [*pieces, sentence]


def _find_cut(sentence: str, limit: int) -> int | None:
    """Return where to cut: the space after the strongest mark near an even share of the sentence, or None."""
    parts = -(-len(sentence) // max(limit, 1))
    share = len(sentence) / parts
    for mark in (STRONG, COMMA, LINK, SPACE):
        cuts = [
            m.end() if mark is not LINK and mark is not SPACE else m.start()
            for m in mark.finditer(sentence, 0, limit + 1)
        ]
        if mark is STRONG:
            cuts = [cut for cut in cuts if sentence[cut - 1] != "." or not _is_item_number(sentence, cut - 1)]
        cuts = [cut for cut in cuts if cut <= limit and (mark is SPACE or cut >= share / 3)]
        if cuts:
            return min(cuts, key=lambda cut: abs(cut - share)) if mark is not SPACE else cuts[-1]
    space = sentence.find(" ")
    return space if space > 0 else None


def _join_short(pieces: list[str], limit: int) -> list[str]:
    joined: list[str] = []
    for piece in pieces:
        is_short = joined and (len(piece) < MIN_PIECE or len(joined[-1]) < MIN_PIECE)
        if is_short and len(joined[-1]) + 1 + len(piece) <= limit:
            joined[-1] += " " + piece
        else:
            joined.append(piece)
    return joined
