"""Times of day and durations: 20h30, 1:30:00, 90 min. An impossible time is left to the other rules."""

from __future__ import annotations

import re

from monica.text.numbers import NUMBER, NUMBER_START, cardinal, number_value, say_number

HOURS_MINUTES = re.compile(
    r"(?<![\w/:])(?<!\d[.,])(\d{1,3}) ?[hH] ?([0-5]\d|\d(?= ?(?:min|mn|m(?!\w))))"
    r"(?: ?(?:min|mn|MIN|MN|m|'(?!['\d]))(?:(?![\w'²³])|(?=[0-5]\ds))|'(?=[0-5]\d))?"
    r"(?: ?([0-5]?\d) ?(?:s(?:ec)?|S(?:EC)?|'')(?![\w'])|(?<=')([0-5]\d)(?!\w))?(?![\w:'])(?![.,/]\d)"
)
HOURS = re.compile(r"(?<![\w/:])(?<!\d[.,])(\d{1,3})(?: ?h|H)(?![\w'/])(?! [0-5]\d(?![\d ]))")
PART_OF_AN_HOUR = re.compile(r"(?<![\w/.,])(?<!\d )(1/2|1/4|3/4) ?(?:h|d'h(?:eure)?)(?![\w'/])")
ARTICLE_BEFORE = re.compile(
    r"(?:(?<!\w)(?:une?|l[ea]|les|cette?|du|au|derni(?:er|ère)|premi(?:er|ère)|chaque) |[ld]')$", re.IGNORECASE
)
PARTS_OF_AN_HOUR = {"1/2": ("une ", "demi-heure"), "1/4": ("un ", "quart d'heure"), "3/4": ("", "trois quarts d'heure")}
COLONS = re.compile(r"(?<![\w.,/:])(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?![\w:/])(?![.,]\d)")
# A clock with colons shows what is left of a level, rather than the time of day, after or before these words.
LASTING = re.compile(
    r"(?<!\w)(?:dans|pendant|durant|rest(?:e|ent|ants?|antes?)(?: ?:)?|pause de|pause ?:|plus que|encore|en"
    r"|(?:chrono(?:mètre)?|timer|clock|countdown|compte à rebours|horloge|temps|durée|niveau suivant|prochain niveau)"
    r"(?: restants?)?(?: ?:| est à| à| de| indique| affiche)?) $",
    re.IGNORECASE,
)
LASTING_AFTER = re.compile(
    r" (?:restante?s?(?!\w)|à jouer|de (?:jeu|pause|break|réflexion)|(?:avant|jusqu'à) l[ae'] ?(?:pause|fin"
    r"|break|reprise"
    r"|niveau|dîner|prochain|changement)|au (?:chrono|compteur|timer))",
    re.IGNORECASE,
)
TIME_OF_DAY = re.compile(r"(?<!\w)(?:à|vers|dès|jusqu'à|depuis|avant|après|de) $", re.IGNORECASE)
ROUND_THE_CLOCK = re.compile(r"(?<![\w/.,])24 ?h?/(24)(?: ?h)?(?!\w)|(?<![\w/.,])7 ?j?/(7)(?: ?j)?(?!\w)")
MINUTES_SECONDS = re.compile(
    r"(?<![\w/:])(?<!\d[.,])(\d{1,3})(?: ?(?:min|mn|MIN|MN) ?([0-5]\d)(?: ?(?:s(?:ec)?|S(?:EC)?))?|'([0-5]\d)(?:'')?"
    r"| ?m ?([0-5]?\d) ?s)(?![\w'])(?![.,/ ]\d)"
)
SECOND_MARK = re.compile(r"(?<![\w'′’.,])(\d{1,2}) ?(?:''|″|′′)(?![\w'])")
STRAIGHT_MARK = re.compile(r"(?:(?<![\w'′’.,])(\d{1,2})(?=\"(?!\w)))?\"")
INCHES = re.compile(r"(?:écran|télé|tv|moniteur|dalle|pouces)\w{0,8}(?: de| en)? $", re.IGNORECASE)
HALF = re.compile(rf"{NUMBER_START}(\d{{1,3}})[.,]50? ?(?:h|heures?)(?![\w'/])")
AMOUNT = re.compile(
    rf"{NUMBER_START}({NUMBER})"
    r"(?:(?: ?(ms|mn|mins?|secs?|s|j|h|MN|MINS?|SECS?)(?![\w'/])(?:\.(?= [a-z]))?)|('(?!['\w])))"
)
UNITS = {
    "ms": "milliseconde", "s": "seconde", "sec": "seconde", "secs": "seconde", "mn": "minute",
    "min": "minute", "mins": "minute", "h": "heure", "j": "jour",
}  # fmt: skip
# In a message wholly in capitals.
CAPITAL_SECONDS = re.compile(r"(?<![\w.,/])(\d{1,3}) ?S(?![\w'./-])")
CAPITAL_HOURS = re.compile(r"(?<![\w.,/])(\d{1,2}) H(?![\w'./-])")
LOWER = re.compile(r"[^\W\d_](?<=[a-zà-öø-ÿœ])")


def say_count(number: int, noun: str, *, feminine: bool = True) -> str:
    """Say a number of things: une heure, vingt et une minutes."""
    return f"{cardinal(number, feminine=feminine)} {noun}{'s' * (number > 1)}"


def read_second_marks(text: str) -> str:
    """Write 30'' as 30 s before its mark is taken for a quotation mark."""
    if '"' in text:
        text = _write_straight_seconds(text)
    return SECOND_MARK.sub(_write_seconds, text) if "''" in text or "″" in text or "′′" in text else text


def _write_straight_seconds(text: str) -> str:
    """Write 20" as 20 s, unless the mark closes a quotation that was opened before."""
    quoted = False

    def write(match: re.Match[str]) -> str:
        nonlocal quoted
        if match[1] and not quoted:
            return _write_seconds(match)
        quoted = not quoted
        return match[0]

    return STRAIGHT_MARK.sub(write, text)


def _write_seconds(match: re.Match[str]) -> str:
    # Of a screen they are inches.
    return match[0] if INCHES.search(match.string[max(0, match.start() - 20) : match.start()]) else f"{match[1]} s"


def read_times_of_day(text: str) -> str:
    """Say times of day, and clocks with colons that show a duration."""
    text = ROUND_THE_CLOCK.sub(
        lambda m: "vingt-quatre heures sur vingt-quatre" if m[1] else "sept jours sur sept", text
    )
    text = PART_OF_AN_HOUR.sub(_say_part_of_an_hour, text) if "/" in text else text
    if " H" in text and not LOWER.search(text):
        text = CAPITAL_HOURS.sub(r"\1H", text)
    text = COLONS.sub(_say_colons, text)
    text = HOURS_MINUTES.sub(_say_hours_minutes, text)
    return HOURS.sub(lambda m: say_count(int(m[1]), "heure"), text)


def read_durations(text: str) -> str:
    """Say numbers of hours, minutes, seconds and days."""
    if "S" in text and not LOWER.search(text):
        text = CAPITAL_SECONDS.sub(r"\1 sec", text)
    text = HALF.sub(lambda m: f"{say_count(int(m[1]), 'heure')} et demie", text)
    text = MINUTES_SECONDS.sub(_say_minutes_seconds, text)
    return AMOUNT.sub(_say_amount, text)


def _say_part_of_an_hour(match: re.Match[str]) -> str:
    article, part = PARTS_OF_AN_HOUR[match[1]]
    has_article = ARTICLE_BEFORE.search(match.string[max(0, match.start() - 9) : match.start()])
    return part if has_article else article + part


def _say_colons(match: re.Match[str]) -> str:
    first, second, third = int(match[1]), int(match[2]), match[3]
    if third is not None:
        return _say_duration(first, second, int(third))
    before = match.string[max(0, match.start() - 40) : match.start()]
    announced = LASTING_AFTER.match(match.string, match.end()) and not TIME_OF_DAY.search(before)
    if LASTING.search(before) or announced or first > 23:
        return _say_duration(0, first, second)
    return _say_time(first, second)


def _say_minutes_seconds(match: re.Match[str]) -> str:
    minutes, seconds = int(match[1]), int(match[2] or match[3] or match[4])
    if not seconds:
        return say_count(minutes, "minute")
    said = f"{say_count(minutes, 'minute')} {cardinal(seconds, feminine=True)}"
    # "deux minutes une" would be heard as something else
    return said if seconds > 1 else f"{said} seconde"


def _say_hours_minutes(match: re.Match[str]) -> str:
    hours, minutes, seconds = int(match[1]), int(match[2]), match[3] or match[4]
    if seconds is not None:
        return _say_duration(hours, minutes, int(seconds), link=" ")
    return _say_time(hours, minutes)


def _say_time(hours: int, minutes: int) -> str:
    """Say a time of day. Noon and midnight are said as numbers, like every other hour."""
    return f"{say_count(hours, 'heure')} {cardinal(minutes, feminine=True)}" if minutes else say_count(hours, "heure")


def _say_duration(hours: int, minutes: int, seconds: int, *, link: str = " et ") -> str:
    if hours and not seconds:
        return _say_time(hours, minutes)
    said = [say_count(n, noun) for n, noun in ((hours, "heure"), (minutes, "minute"), (seconds, "seconde")) if n]
    if not said:
        return "zéro seconde"
    return link.join([" ".join(said[:-1]), said[-1]]) if len(said) > 1 else said[0]


def _say_amount(match: re.Match[str]) -> str:
    noun = UNITS[match[2].lower()] if match[2] else "minute"
    amount = number_value(match[1])
    return f"{say_number(match[1], feminine=noun != 'jour')} {noun}{'s' * (amount >= 2)}"
