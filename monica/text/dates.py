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
DAYS = {
    "lun": "lundi", "mar": "mardi", "mer": "mercredi", "jeu": "jeudi", "ven": "vendredi", "vend": "vendredi",
    "sam": "samedi", "dim": "dimanche",
}  # fmt: skip
NAMES = "|".join([*MONTHS, *UNACCENTED_MONTHS, *SHORT_MONTHS])
WRITTEN = re.compile(
    rf"(?<![\w/.,])(\d{{1,2}})(?: |er )({NAMES})(?![\w'])(?:\.(?= \w|[,;:)]))?"
    r"(?: (\d{4})(?![\w/]|[.,]\d))?",
    re.IGNORECASE,
)
SHORT_DAYS = (*(day + mark for day in DAYS for mark in ". -+&"), "di-", "di -", "di–")
SHORT_DAY = "lun|mar|mer|jeu|vend?|sam|dim"
# A day without a full stop needs a date after it: "mar", "mer" and "jeu" are words, "Sam" is a name.
DAY_AND_DATE = re.compile(
    rf"(?<![\w.'-])({SHORT_DAY})(\.?) (?=(?:\d{{1,2}}|1er)(?: ?[-/&] ?\d{{1,2}})? ?(?:/ ?\d{{1,2}}(?!\d)"
    rf"|(?:{NAMES})(?!\w)|à \d{{1,2}} ?h))",
    re.IGNORECASE,
)
DAY = re.compile(
    rf"(?<![\w.'])({SHORT_DAY})\.(?=(?: ?[-–/&,;:)]| (?:et|ou|au?|à|matin|midi|après-midi|soir|prochain"
    rf"|dernier|de|dès) ?"
    rf"| (?:\d{{1,2}}|1er)(?![\d,.]| (?:joueu|table|place|main|minute|personne|BB|€|pour|jeton|niveau|point|$))|$))",
    re.IGNORECASE,
)
BOTH_DAYS = re.compile(rf"(?<![\w.'-])({SHORT_DAY})( ?[-+&] ?)({SHORT_DAY})(?![\w'-])", re.IGNORECASE)
# "Fin du jeu." and "à la mer." end a sentence.
NOT_A_DAY = re.compile(
    r"(?<!\w)(?:du|le|la|de|en|un|une|au|ce|son|mon|leur|notre|ma|sa|bord de|premier|début de) $", re.I
)
FULL_DAY = "lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
ANOTHER_DAY = re.compile(
    rf"(?: (?:\d{{1,2}}|1er))? ?(?-i:[-–,/]|et|ou|au?|ET|OU|AU) ?(?:(?:{SHORT_DAY})\.|(?:{FULL_DAY})(?!\w))",
    re.IGNORECASE,
)
DAY_AFTER_ANOTHER = re.compile(rf"(?<=di)((?:, ?|/| (?:et|ou|&) ))({SHORT_DAY})\.(?= )", re.IGNORECASE)
DAY_RANGE = re.compile(rf"(?<=di)( ?[-–] ?)(?=(?:{FULL_DAY})(?!\w))", re.IGNORECASE)
DATE_RANGE = re.compile(
    rf"(?<![\w/.,-])(\d{{1,2}}|1er)(?: ({NAMES})\.?)? ?[-–] ?(\d{{1,2}}|1er)(?= (?:{NAMES})(?![\w']))", re.IGNORECASE
)
SLASHED_RANGE = re.compile(r"(?<![\w/.,-])(\d{1,2}(?:/[01]\d)?)-(?=\d{1,2}/[01]\d(?![\w/-]|[.,]\d))")
TWO_DAYS = re.compile(rf"(?<![\w/.,-])(\d{{1,2}}) ?[/&] ?(\d{{1,2}})(?= (?:{NAMES})(?![\w']))", re.IGNORECASE)
# "Sam. 12-dim. 13 avril", once the days are written out.
DAY_AFTER_NUMBER = re.compile(rf"(?<=\d)-(?=(?:{FULL_DAY})(?!\w))", re.IGNORECASE)
DECADES = re.compile(r"(années (?:[\w-]{1,20} ){1,5}(?:et|ou|à) (?:les )?)années ")
DECADE_OF = re.compile(
    r"(?<!\w)((?:années|musique|soirée|rock|tubes|hits|style|look|ambiance|thème|the|son) )'?((?:19"
    r"|20)?[1-9]0)s(?![\w'])",
    re.IGNORECASE,
)
# "Les 90s de réflexion" are seconds.
LONE_DECADE = re.compile(
    r"(?<!\w)(?<!dans )((?:les|des) )([6-9]0)s(?![\w'])(?! (?:de (?:réflexion|pause|temps|time|jeu|bonus|chrono)|rest"
    r"|pour|avant|après|chrono|sont écoulées))",
    re.IGNORECASE,
)
DECADE = re.compile(r"(?<![\w.,])(années |les années |les |des |aux |of the )?'?((?:19|20)?\d0)'s(?!\w)", re.IGNORECASE)
BEFORE_A_DATE = re.compile(
    r"(?:^|[^\w])(?:le|du|au|dès le|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|date ?:"
    r"|lun|mar|mer|jeu|ven|sam|dim)\.? $",
    re.IGNORECASE,
)
PART_OF = re.compile(r" (?:d[eu']|des |finale)")


def read_dates(text: str) -> str:
    """Say dates that are written in figures, and the day before the name of a month."""
    text = LONE_DECADE.sub(r"\1\2's", DECADE_OF.sub(r"\1\2's", text)) if "0s" in text else text
    text = DECADES.sub(r"\1", DECADE.sub(_say_decade, text)) if "'s" in text else text
    text = TWO_DAYS.sub(r"\1 et \2", text)
    text = DATE_RANGE.sub(_say_range, text)
    text = SLASHED_RANGE.sub(r"\1 au ", text) if "/" in text else text
    text = ISO.sub(_say_iso, text)
    text = DAY_MONTH_YEAR.sub(_say_day_month_year, text)
    text = DAY_MONTH.sub(_say_day_month, text)
    return WRITTEN.sub(_say_written, text)


def write_out_days(text: str) -> str:
    """Write out the days of the week before a date, an hour or another day: "Sam. 12 avr." is a Saturday."""
    lowered = text.lower()
    if not any(short in lowered for short in SHORT_DAYS):
        return text
    text = BOTH_DAYS.sub(_write_out_both_days, text)
    text = DAY_AND_DATE.sub(lambda m: _write_out_day(m[1]) + " ", text)
    text = DAY.sub(_write_out_lone_day, text)
    text = DAY_AFTER_ANOTHER.sub(lambda m: m[1] + _write_out_day(m[2]), text)
    return DAY_AFTER_NUMBER.sub(" au ", DAY_RANGE.sub(" au ", text))


def _write_out_both_days(match: re.Match[str]) -> str:
    link = "au" if "-" in match[2] else "et"
    return f"{_write_out_day(match[1])} {link} {_write_out_day(match[3])}"


def _write_out_lone_day(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - 14) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    # Without anything after it, a full stop ends the sentence, and "Fin du jeu." is as likely as a day.
    word = match[1].lower() in {"mer", "jeu"}
    if word and (not after or NOT_A_DAY.search(before)) and not ANOTHER_DAY.match(match.string, match.end()):
        return match[0]
    return _write_out_day(match[1]) + "." * (not after)


def _write_out_day(short: str) -> str:
    day = DAYS[short.lower()]
    return day.upper() if short.isupper() else day.capitalize() if short[0].isupper() else day


def _say_decade(match: re.Match[str]) -> str:
    before = match[1] or ""
    years = cardinal(int(match[2]))
    if "années" in before.lower():
        return before + years
    return f"{'les ' if before.lower() == 'of the ' else before}années {years}"


def _say_range(match: re.Match[str]) -> str:
    first, last = (1 if day.lower() == "1er" else int(day) for day in (match[1], match[3]))
    if not 1 <= first <= 31 or not 1 <= last <= 31 or (not match[2] and first >= last):
        return match[0]
    month = match[2] and SHORT_MONTHS.get(match[2].lower(), match[2])
    return f"{match[1]}{f' {month}' if month else ''} au {match[3]}"


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
