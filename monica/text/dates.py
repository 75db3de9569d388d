"""Calendar dates. A day that does not exist is left to the other rules."""

from __future__ import annotations

import datetime
import re

from monica.text.numbers import cardinal

MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
    "novembre", "décembre",
)  # fmt: skip
SHORT_MONTHS = {
    "janv": "janvier", "jan": "janvier", "févr": "février", "fév": "février", "fevr": "février",
    "avr": "avril", "juil": "juillet", "sept": "septembre", "oct": "octobre", "nov": "novembre",
    "déc": "décembre", "dec": "décembre",
}  # fmt: skip
UNACCENTED_MONTHS = {"fevrier": "février", "aout": "août", "decembre": "décembre"}

ISO = re.compile(r"(?<![\w/.,-])(\d{4})-(\d\d)-(\d\d)(T(?=\d)|(?![\w/-]|[.,]\d))")
DAY_MONTH_YEAR = re.compile(r"(?<![\w/.,-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d\d)(?![\w/-]|[.,]\d)")
DAY_MONTH = re.compile(r"(?<![\w/.,-])(\d{1,2})/(\d{1,2})(?![\w/-]|[.,]\d)")
NAMES = "|".join([*MONTHS, *UNACCENTED_MONTHS, *SHORT_MONTHS])
WRITTEN = re.compile(
    rf"(?<![\w/.,])(\d{{1,2}})(?: |er )({NAMES})(?![\w'])(?:\.(?= \w))?"
    r"(?: (\d{4})(?![\w/]|[.,]\d))?",
    re.IGNORECASE,
)
BEFORE_A_DATE = re.compile(
    r"(?:^|[^\w])(?:le|du|au|dès le|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|date ?:"
    r"|lun|mar|mer|jeu|ven|sam|dim)\.? $",
    re.IGNORECASE,
)
PART_OF = re.compile(r" (?:d[eu']|des |finale)")


def read_dates(text: str) -> str:
    """Say dates that are written in figures, and the day before the name of a month."""
    text = ISO.sub(_say_iso, text)
    text = DAY_MONTH_YEAR.sub(_say_day_month_year, text)
    text = DAY_MONTH.sub(_say_day_month, text)
    return WRITTEN.sub(_say_written, text)


def _say_iso(match: re.Match[str]) -> str:
    date = _say_date(match, match[3], match[2], match[1])
    return f"{date} à " if match[4] and date != match[0] else date


def _say_date(match: re.Match[str], day: str, month: str, year: str) -> str:
    try:
        date = datetime.date(int(year) if len(year) == 4 else 2000 + int(year), int(month), int(day))
    except ValueError:
        return match[0]
    return f"{_say_day(date.day)} {MONTHS[date.month - 1]} {cardinal(date.year)}"


def _say_day(day: int) -> str:
    return "premier" if day == 1 else cardinal(day)


def _say_day_month_year(match: re.Match[str]) -> str:
    if len(match[4]) == 2 and match[2] != "/":  # "1.2.26" is a version before it is a date
        return match[0]
    return _say_date(match, match[1], match[3], match[4])


def _say_day_month(match: re.Match[str]) -> str:
    day, month, string = match[1], match[2], match.string
    announced = BEFORE_A_DATE.search(string[max(0, match.start() - 12) : match.start()])
    if not (announced and not PART_OF.match(string, match.end())) and "0" not in {day[0], month[0]}:
        return match[0]
    if _say_date(match, day, month, "2024") == match[0]:  # 2024 is a leap year: without a year, 29/02 exists
        return match[0]
    return f"{_say_day(int(day))} {MONTHS[int(month) - 1]}"


def _say_written(match: re.Match[str]) -> str:
    day, name = int(match[1]), match[2].lower()
    if not 1 <= day <= 31:
        return match[0]
    month = SHORT_MONTHS.get(name) or UNACCENTED_MONTHS.get(name, name)
    year = f" {cardinal(int(match[3]))}" if match[3] else ""
    return f"{_say_day(day)} {month}{year}"
