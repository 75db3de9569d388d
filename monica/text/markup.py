"""Markup: HTML and SSML tags and a model's thoughts are dropped, and the pauses that a sender asks for are measured."""

from __future__ import annotations

import html
import re

MAX_PAUSE_S = 10.0
"""Seconds. A longer pause is cut to this: an announcement with a typing error is better than none."""
MAX_PAUSES_S = 60.0
"""Seconds that the pauses of one text may last together. Once they are used up, further pauses are ignored."""
STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 1.0, "x-strong": 2.0}
"""Seconds for `<break strength="..."/>`. SSML leaves the lengths to the processor; `<break/>` alone is "medium"."""

ATTRIBUTES = r"(?:\s{1,5}[\w:.-]{1,30}\s?=\s?(?:\"[^<>\"]{0,200}\"|'[^<>']{0,200}'|[^\s<>\"']{1,80})){0,8}"
TAG = re.compile(rf"</?[a-z][\w:.-]{{0,30}}{ATTRIBUTES}\s{{0,3}}/?>", re.IGNORECASE)
# Only names that no sentence has after "<": "a <b et c" is a comparison.
UNCLOSED_TAG = re.compile(
    rf"</?(?:speak|break|emphasis|prosody|say-as|phoneme|voice|sub|lang|audio|mark|par|seq|strong|span|div)"
    rf"{ATTRIBUTES}\s{{0,3}}/?(?![\w>=-])",
    re.IGNORECASE,
)
DECLARATION = re.compile(r"<[!?][a-z\[][^<>]{0,300}>", re.IGNORECASE)
ENTITY = re.compile(r"&(?:#\d{1,6}|#x[0-9a-fA-F]{1,5}|[a-zA-Z]{2,8}\d{0,2});")
THOUGHT = re.compile(r"<(/?)think(?:ing)?(?:\s[^<>]{0,200})?>", re.IGNORECASE)

PAUSE = re.compile(
    r"\[pause ?: ?(?:(\d{1,15}(?:[.,]\d{1,6})?) ?(?:(ms|s)(?![\w.,])\]?|\])"
    r"|[^\[\]\s]{0,20}(?:\]|(?=\s{0,20}(?:$|\[|<break))))"
    rf"|<break(?:(?P<attributes>{ATTRIBUTES})\s{{0,3}}/?>)",
    re.IGNORECASE,
)
TIME = re.compile(r"\stime\s?=\s?[\"'“”]?\s?\+?(\d{0,15}(?:\.\d{1,6})?)\s?(ms|s)(?!\w)", re.IGNORECASE)
STRENGTH = re.compile(r"\sstrength\s?=\s?[\"'“”]?([a-z-]{1,10})", re.IGNORECASE)


def drop_markup(text: str) -> str:
    """Drop thoughts, tags and pauses, and decode entities. What stands between two tags stays, but for a thought."""
    text = _decode(text)
    if "[" in text:
        text = PAUSE.sub(" ", text)
    if "<" in text:
        text = DECLARATION.sub(" ", _drop_comments(drop_thoughts(text)))
        text = UNCLOSED_TAG.sub(" ", TAG.sub(" ", text))
    return text


def _drop_comments(text: str) -> str:
    """Drop <!-- ... -->. By hand, since an expression tries each start of a comment that never ends to its end."""
    pieces: list[str] = []
    end = 0
    while (start := text.find("<!--", end)) >= 0 and (stop := text.find("-->", start)) >= 0:
        pieces.append(text[end:start])
        end = stop + 3
    return " ".join([*pieces, text[end:]]) if end else text


def _decode(text: str) -> str:
    """Decode entities. Before tags are looked for: SSML that was escaped once too often is still not for reading."""
    return ENTITY.sub(lambda m: html.unescape(m[0]), text) if "&" in text else text


def drop_thoughts(text: str) -> str:
    """Drop <think>...</think>, nested ones too.

    A thought that never ends is all that follows it, and one that never began is all that precedes its end: a chat
    template may write the first tag, and a limit on tokens may cut off the last.
    """
    if "<" not in text:
        return text
    kept: list[str] = []
    depth = resume = 0
    for tag in THOUGHT.finditer(text):
        if not tag[1]:
            if not depth:
                kept.append(text[resume : tag.start()])
                resume = len(text)
            depth += 1
            continue
        if not depth:
            kept.clear()
        depth, resume = max(0, depth - 1), tag.end()
    return " ".join([*kept, text[resume:]]) if kept or resume else text


def split_at_pauses(text: str) -> list[tuple[str, float]]:
    """Cut a text at its pauses. Returns each part and the seconds of silence after it.

    Parts may be empty, and two pauses may follow each other. Lengths are those asked for, within MAX_PAUSE_S and
    MAX_PAUSES_S.
    """
    spoken = drop_thoughts(_decode(text))
    parts: list[tuple[str, float]] = []
    start, left = 0, MAX_PAUSES_S
    for mark in PAUSE.finditer(spoken):
        seconds = min(_seconds(mark), left)
        if seconds:
            left -= seconds
            parts.append((spoken[start : mark.start()].strip(), seconds))
            start = mark.end()
    return [*parts, (spoken[start:].strip(), 0.0)] if parts else [(text, 0.0)]


def write_pause(seconds: float) -> str:
    """Write a pause as a sender does: [pause:0.5s]."""
    return f"[pause:{seconds:g}s]"


def _seconds(mark: re.Match[str]) -> float:
    """Return the length of a pause, 0 if it cannot be understood."""
    attributes = mark["attributes"]
    if attributes is None:
        number, unit = mark[1], mark[2]
    elif time := TIME.search(attributes):
        number, unit = time[1], time[2]
    elif " time" in attributes.lower():
        return 0.0
    else:
        strength = STRENGTH.search(attributes)
        return STRENGTHS.get(strength[1].lower(), 0.0) if strength else STRENGTHS["medium"]
    if not number:
        return 0.0
    seconds = float(number.replace(",", ".")) / (1000 if (unit or "").lower() == "ms" else 1)
    return min(round(seconds, 3), MAX_PAUSE_S)
