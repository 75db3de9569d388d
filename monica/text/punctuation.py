"""Punctuation a voice can pause at: one mark at a time, no quotes, no brackets, no dash that means a pause."""

from __future__ import annotations

import re

from monica.text.unicode import has_words

# Two characters, as a sender writes that encodes its text once too often.
WRITTEN_LINE_END = re.compile(r"(?:\\r)?\\n")
ENDS_OPEN = re.compile(r"[\w)\]%€$°♠♥♦♣]$")
LIST_ITEM = re.compile(r"^(?:[-*•–—] |\d{1,2}[.)] (?=\D))")

QUOTES = re.compile(r"[«»“”„‟\"‹›″]|''")
APOSTROPHES = re.compile("[’‘ʼ′`´‛]")
OPENING_APOSTROPHE = re.compile(r"(?<!\w)'")

DASH = re.compile("[-–—―‒=_*~#]")
RULED_LINE = re.compile(r"[-=_*~#]{3,}")
DASH_BETWEEN_HOURS = re.compile(r"(?<=\d[hH]) [-–—] (?=\d)|(?<=[hH]\d\d) [-–—] (?=\d)")
DASH_BETWEEN_RANKS = re.compile(r"(?<=\d[eè]) [-–—] (?=\d{1,5}[eè](?!\w))|(?<=\der) [-–—] (?=\d{1,5}[eè](?!\w))")
MONTH = r"(?:janv|f[ée]vr?|mars|avr|mai|juin|juil|ao[ûu]t|sept|oct|nov|d[ée]c)"
DASH_BETWEEN_DAYS = re.compile(
    rf"(\d(?:er)?(?: {MONTH}\w{{0,6}}\.?)?) [-–—] (?=\d{{1,2}}(?:er)? {MONTH})", re.IGNORECASE
)
SHORT_DAY = r"(?:lun|mar|mer|jeu|vend?|sam|dim)"
DASH_BETWEEN_SHORT_DAYS = re.compile(rf"(?<!\w)({SHORT_DAY}\.?) [-–—] (?={SHORT_DAY}\.)", re.IGNORECASE)
DASH_IN_A_NUMBER = re.compile(r"(?<=\w)[‒–](?=\w)")
PAUSE_DASH = re.compile(r" ?(?:[–—―‒]|--)[–—―‒-]{0,8} ?|(?:^| )-{1,2} ")

SMILEY = re.compile(r"[:;](?<!\S.)-?[()DPp*|](?!\S)|<(?<!\w<)3(?!\d)")
ELLIPSIS = re.compile(r"\.(?: ?\.){1,}|…(?: ?[.…])*")
SHOUT = re.compile(r"[!?](?: ?[!?])+")
SPACE_BEFORE = re.compile(r" (?=[,.;:!?…)\]]{1,4}(?:\s|$))")
NO_SPACE_AFTER = re.compile(r"([,;!?…])(?=[^\W\d_])")
NO_SPACE_AFTER_COLON = re.compile(r":(?<=[^\W\d_]:)(?=[^\W_])")
NO_SPACE_AFTER_STOP = re.compile(r"\.(?<=[a-zà-öø-ÿ][a-zà-öø-ÿ]\.)(?=[A-ZÀ-ÖØ-Þ][a-zà-öø-ÿ])")

OPTIONAL_ENDING = re.compile(r"(?<=[^\W\d_])\((s|x|e|es|ne|nes|le|les)\)(s?)(?![^\W\d_])")
BRACKETS = re.compile(r"[()\[\]{}]")

RUN_OF_MARKS = re.compile(r"[,;:.!?…](?: ?[,;:.!?…])+")
STRENGTH = "?!…:.;,"
LEADING = " ,;:.!?…)]}|/\\"
TRAILING = " ,;:([{|/\\-"


def read_line_ends(text: str) -> str:
    """Make line ends audible: a full stop at a blank line, a comma before a line that starts something new."""
    if "\\" in text:
        text = WRITTEN_LINE_END.sub("\n", text)
    if len(rows := text.splitlines()) < 2:
        return text
    spoken, blank = "", False
    pieces: list[str] = []
    for row in rows:
        item = LIST_ITEM.match(row := row.strip())
        row = row[item.end() :] if item and row[0] in "-*•–—" else row
        if not row:
            blank = True
            continue
        if pieces:
            starts_new = bool(item) or row[0].isupper() or row[0].isdigit()
            mark = "." if blank else "," if starts_new else ""
            pieces.append((mark if ENDS_OPEN.search(spoken) else "") + " ")
        pieces.append(row)
        spoken, blank = row[-1:], False
    return "".join(pieces)


def drop_quotes(text: str) -> str:
    """Drop quotation marks and straighten apostrophes. An apostrophe at the start of a word was a quotation mark."""
    text = QUOTES.sub(" ", APOSTROPHES.sub("'", text))
    return " ".join((OPENING_APOSTROPHE.sub("", text) if "'" in text else text).split())


def read_dashes(text: str) -> str:
    """Turn a dash between words into a pause, and write every other dash as a hyphen."""
    if not DASH.search(text):
        return text
    text = RULED_LINE.sub(", ", text)
    text = DASH_BETWEEN_HOURS.sub("-", text)
    text = DASH_BETWEEN_DAYS.sub(r"\1-", DASH_BETWEEN_RANKS.sub("-", text))
    text = DASH_BETWEEN_SHORT_DAYS.sub(r"\1-", text)
    text = DASH_IN_A_NUMBER.sub("-", text)
    return PAUSE_DASH.sub(", ", text)


def reduce_marks(text: str) -> str:
    """Keep one of several repeated marks. Keep the space after a mark, and drop the one before it."""
    without = SMILEY.sub(" ", text)
    text = without if has_words(without) else text  # "<3" by itself is less than three
    text = ELLIPSIS.sub("…", text)
    text = SHOUT.sub(lambda m: "?" if "?" in m[0] else "!", text)
    text = SPACE_BEFORE.sub("", text)
    text = NO_SPACE_AFTER.sub(r"\1 ", text)
    text = NO_SPACE_AFTER_COLON.sub(": ", text)
    text = NO_SPACE_AFTER_STOP.sub(". ", text)
    return " ".join(text.split())


def read_brackets(text: str) -> str:
    """Turn brackets into pauses, and read "joueur(s)" as the plural."""
    text = OPTIONAL_ENDING.sub(lambda m: m[1] if m[1] in "sx" else m[2], text)
    return BRACKETS.sub(",", text) if BRACKETS.search(text) else text


def settle_marks(text: str) -> str:
    """Leave one mark where the rules have produced several, and none at the start of the text."""
    text = " ".join(text.split())
    text = SPACE_BEFORE.sub("", text)
    text = NO_SPACE_AFTER.sub(r"\1 ", text)
    text = NO_SPACE_AFTER_COLON.sub(": ", text)
    text = RUN_OF_MARKS.sub(lambda m: min(m[0].replace(" ", ""), key=STRENGTH.index), text)
    start = text.lstrip(LEADING)
    return (text if start[:1].isdigit() else start).rstrip(TRAILING)  # ".5" keeps its point
