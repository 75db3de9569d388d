"""Percentages and the units of daily life. They take the singular below two."""

from __future__ import annotations

import re

from monica.text.numbers import NUMBER, NUMBER_START, number_value, say_number

# singular, plural, feminine
UNITS = {
    "km/h": ("kilomètre à l'heure", "kilomètres à l'heure", False),
    "m/s": ("mètre par seconde", "mètres par seconde", False),
    "km": ("kilomètre", "kilomètres", False), "m": ("mètre", "mètres", False),
    "cm": ("centimètre", "centimètres", False), "mm": ("millimètre", "millimètres", False),
    "km²": ("kilomètre carré", "kilomètres carrés", False), "m²": ("mètre carré", "mètres carrés", False),
    "cm²": ("centimètre carré", "centimètres carrés", False), "m³": ("mètre cube", "mètres cubes", False),
    "cm³": ("centimètre cube", "centimètres cubes", False), "ha": ("hectare", "hectares", False),
    "KM": ("kilomètre", "kilomètres", False), "KG": ("kilo", "kilos", False),
    "CM": ("centimètre", "centimètres", False),
    "kg": ("kilo", "kilos", False), "g": ("gramme", "grammes", False),
    "mg": ("milligramme", "milligrammes", False),
    "t": ("tonne", "tonnes", True), "l": ("litre", "litres", False), "L": ("litre", "litres", False),
    "cl": ("centilitre", "centilitres", False), "ml": ("millilitre", "millilitres", False),
    "Go": ("gigaoctet", "gigaoctets", False), "Mo": ("mégaoctet", "mégaoctets", False),
    "ko": ("kilooctet", "kilooctets", False), "Ko": ("kilooctet", "kilooctets", False),
    "kWh": ("kilowattheure", "kilowattheures", False), "kW": ("kilowatt", "kilowatts", False),
    "W": ("watt", "watts", False), "Hz": ("hertz", "hertz", False), "dB": ("décibel", "décibels", False),
    "°C": ("degré Celsius", "degrés Celsius", False), "°F": ("degré Fahrenheit", "degrés Fahrenheit", False),
    "°": ("degré", "degrés", False),
}  # fmt: skip
LONGEST_FIRST = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
MEASURE = re.compile(rf"{NUMBER_START}({NUMBER}) ?({LONGEST_FIRST}|(?:k|c)?m[23](?!\d))(?![\w'’²³/°])(?!\.\w)")
PERCENT = re.compile(r" ?%")
PER_MILLE = re.compile(r" ?‰")
SURFACE = re.compile(r"(?<!\w)([kc]?m[²³])(?!\w)")
RAISED = re.compile(r"[²³]")
POWER = re.compile(r"\^ ?(\d{1,3})(?!\d)")
RAISED_OR_POWER = re.compile("[²³^]")
POWERS = {"2": " au carré", "3": " au cube"}


def read_percentages(text: str) -> str:
    """Say % and ‰."""
    if "%" not in text and "‰" not in text:
        return text
    return PER_MILLE.sub(" pour mille ", PERCENT.sub(" pour cent ", text))


def read_measures(text: str) -> str:
    """Say a number with its unit: 5 km."""
    return MEASURE.sub(_say_measure, text)


def read_powers(text: str) -> str:
    """Say a surface or a volume without a number (le prix au m²), squares, cubes and powers."""
    if not RAISED_OR_POWER.search(text):
        return text
    text = SURFACE.sub(lambda m: UNITS[m[1]][0] if m[1] in UNITS else m[0], text)
    text = RAISED.sub(lambda m: " au carré " if m[0] == "²" else " au cube ", text)
    return POWER.sub(lambda m: POWERS.get(m[1]) or f" puissance {m[1]}", text)


def _say_measure(match: re.Match[str]) -> str:
    symbol = match[2]
    if symbol not in UNITS:  # "m2" typed for m²
        symbol = symbol[:-1] + ("²" if symbol[-1] == "2" else "³")
    if symbol not in UNITS:
        return match[0]
    one, many, feminine = UNITS[symbol]
    return f"{say_number(match[1], feminine=feminine)} {many if number_value(match[1]) >= 2 else one}"
