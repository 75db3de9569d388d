"""Times of day and durations: 20h30, 1:30:00, 90 min. An impossible time is left to the other rules."""

from __future__ import annotations

import re

from monica.text.numbers import NUMBER, NUMBER_START, cardinal, number_value, say_number

HOURS_MINUTES = re.compile(
    r"(?<![\w/:])(?<!\d[.,])(\d{1,3}) ?[hH] ?([0-5]\d|\d(?= ?(?:min|mn)))(?: ?(?:min|mn)(?![\w']))?"
    r"(?: ?([0-5]?\d) ?s(?:ec)?(?![\w']))?(?![\w:'])(?![.,/]\d)"
)
HOURS = re.compile(r"(?<![\w/:])(?<!\d[.,])(\d{1,3})(?: ?h|H)(?![\w'/])(?! [0-5]\d(?![\d ]))")
COLONS = re.compile(r"(?<![\w.,/:])(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?![\w:/])(?![.,]\d)")
LASTING = re.compile(
    r"(?:dans|pendant|durant|restent?|pause de|pause ?:|plus que|encore"
    r"|(?:chrono|timer|temps|durée)(?: ?:)?) $",
    re.IGNORECASE,
)
ROUND_THE_CLOCK = re.compile(r"(?<![\w/.,])24 ?h?/(24)(?: ?h)?(?!\w)|(?<![\w/.,])7 ?j?/(7)(?: ?j)?(?!\w)")
MINUTES_SECONDS = re.compile(
    r"(?<![\w/:])(?<!\d[.,])(\d{1,3}) ?(?:min|mn) ?([0-5]\d)(?: ?s(?:ec)?)?(?![\w'])(?![.,/ ]\d)"
)
HALF = re.compile(rf"{NUMBER_START}(\d{{1,3}})[.,]50? ?(?:h|heures?)(?![\w'/])")
AMOUNT = re.compile(
    rf"{NUMBER_START}({NUMBER})(?:(?: ?(ms|mn|min|secs?|s|j|h)(?![\w'/])(?:\.(?= [a-z]))?)|('(?!['\w])))"
)
UNITS = {
    "ms": "milliseconde", "s": "seconde", "sec": "seconde", "secs": "seconde", "mn": "minute",
    "min": "minute", "h": "heure", "j": "jour",
}  # fmt: skip


def say_count(number: int, noun: str, *, feminine: bool = True) -> str:
    """Say a number of things: une heure, vingt et une minutes."""
    return f"{cardinal(number, feminine=feminine)} {noun}{'s' * (number > 1)}"


def read_times_of_day(text: str) -> str:
    """Say times of day, and clocks with colons that show a duration."""
    text = ROUND_THE_CLOCK.sub(
        lambda m: "vingt-quatre heures sur vingt-quatre" if m[1] else "sept jours sur sept", text
    )
    text = COLONS.sub(_say_colons, text)
    text = HOURS_MINUTES.sub(_say_hours_minutes, text)
    return HOURS.sub(lambda m: say_count(int(m[1]), "heure"), text)


def read_durations(text: str) -> str:
    """Say numbers of hours, minutes, seconds and days."""
    text = HALF.sub(lambda m: f"{say_count(int(m[1]), 'heure')} et demie", text)
    text = MINUTES_SECONDS.sub(lambda m: f"{say_count(int(m[1]), 'minute')} {cardinal(int(m[2]), feminine=True)}", text)
    return AMOUNT.sub(_say_amount, text)


def _say_colons(match: re.Match[str]) -> str:
    first, second, third = int(match[1]), int(match[2]), match[3]
    if third is not None:
        return _say_duration(first, second, int(third))
    lasting = LASTING.search(match.string[max(0, match.start() - 14) : match.start()])
    if lasting or first > 23:
        return _say_duration(0, first, second)
    return _say_time(first, second)


def _say_hours_minutes(match: re.Match[str]) -> str:
    hours, minutes, seconds = int(match[1]), int(match[2]), match[3]
    if seconds is not None:
        return _say_duration(hours, minutes, int(seconds))
    return _say_time(hours, minutes)


def _say_time(hours: int, minutes: int) -> str:
    """Say a time of day. Noon and midnight are said as numbers, like every other hour."""
    return f"{say_count(hours, 'heure')} {cardinal(minutes, feminine=True)}" if minutes else say_count(hours, "heure")


def _say_duration(hours: int, minutes: int, seconds: int) -> str:
    if hours and not seconds:
        return _say_time(hours, minutes)
    said = [say_count(n, noun) for n, noun in ((hours, "heure"), (minutes, "minute"), (seconds, "seconde")) if n]
    if not said:
        return "zéro seconde"
    return " et ".join([" ".join(said[:-1]), said[-1]]) if len(said) > 1 else said[0]


def _say_amount(match: re.Match[str]) -> str:
    noun = UNITS[match[2]] if match[2] else "minute"
    amount = number_value(match[1])
    return f"{say_number(match[1], feminine=noun != 'jour')} {noun}{'s' * (amount >= 2)}"
