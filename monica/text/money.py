"""Sums of money with their cents: 12,50 € is "douze euros cinquante", 1 M€ is "un million d'euros"."""

from __future__ import annotations

import re
from decimal import Decimal

from monica.text.numbers import NUMBER, NUMBER_START, cardinal, number_value, say_value

# singular, plural, a cent, cents
CURRENCIES = {
    "€": ("euro", "euros", "centime", "centimes"),
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("livre", "livres", "penny", "pence"),
    "¥": ("yen", "yens", "sen", "sens"),
    "CHF": ("franc suisse", "francs suisses", "centime", "centimes"),
}
SYMBOLS = {
    "EUR": "€",
    "USD": "$",
    "US$": "$",
    "$US": "$",
    "GBP": "£",
    "JPY": "¥",
    "FS": "CHF",
    "Fr.": "CHF",
    "SFr.": "CHF",
}
SCALES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "m": 10**6, "Md": 10**9, "Mds": 10**9}

SYMBOL = r"(€|\$US|US\$|\$|£|¥|(?:EUR|USD|GBP|JPY|CHF)(?!\w))"
SUFFIXED = re.compile(
    rf"{NUMBER_START}({NUMBER}) ?(k|K|Mds|Md|M|m(?=[€$£]))? ?(?:{SYMBOL}|(euros?)(?!\w))(?:(\d\d)(?![\d.,]))?"
    r"( ?/ ?(?=[^\W\d]))?"
)
PREFIXED = re.compile(
    rf"(?<!\w)(€|US\$|\$|£|¥|(?:CHF|EUR|USD|GBP)(?= ?\d)|S?Fr\.(?= ?\d)) ?({NUMBER})(?: ?(k|K|Mds|Md"
    rf"|M)(?!\w))?(?!\w)(?![.,]\d)(?:\.-+)?"
)
CENTIMES = re.compile(rf"{NUMBER_START}(\d{{1,3}}) ?cts?(?![\w'])\.?")
SYMBOL_ALONE = re.compile("[€$£¥]")
SPACED_SYMBOL = re.compile(r" ?([€$£¥])")
AFTER_APOSTROPHE = re.compile(r"(?<=['’])([€$£¥])")
ONE_OF_THEM = re.compile(r"(?<!\w)((?:l'|un |le |cet |chaque ))([€$£¥])(?!\w)", re.IGNORECASE)


def read_money(text: str) -> str:
    """Say amounts in a currency, whichever side of the number its symbol is on."""
    text = SUFFIXED.sub(_say_suffixed, text)
    text = PREFIXED.sub(lambda m: _say_amount(m[2], m[3], m[1], None), text)
    return CENTIMES.sub(lambda m: _say_cents(int(m[1]), "centime", "centimes"), text)


def read_lone_currencies(text: str) -> str:
    """Name a currency symbol that belongs to no amount."""
    if not SYMBOL_ALONE.search(text):
        return text
    text = ONE_OF_THEM.sub(lambda m: m[1] + CURRENCIES[m[2]][0], text)
    text = AFTER_APOSTROPHE.sub(lambda m: CURRENCIES[m[1]][1], text)
    return SPACED_SYMBOL.sub(lambda m: f" {CURRENCIES[m[1]][1]} ", text)


def _say_suffixed(match: re.Match[str]) -> str:
    said = _say_amount(match[1], match[2], match[3] or "€", match[5])
    if match[6]:
        return said + " par "
    return said + " " * match.string[match.end() : match.end() + 1].isalnum()


def _say_amount(written: str, scale: str | None, symbol: str, cents: str | None) -> str:
    one, many, cent, some_cents = CURRENCIES[SYMBOLS.get(symbol, symbol)]
    amount = number_value(written) * SCALES[scale or ""]
    if cents:
        amount += Decimal(cents) / 100
    feminine = one == "livre"
    whole = int(amount)
    fraction = int((amount - whole) * 100)
    if (amount * 100) % 1:  # more decimals than there are cents
        return f"{say_value(amount, feminine=feminine)} {many if amount >= 2 else one}"
    if not whole and fraction:
        return _say_cents(fraction, cent, some_cents)
    noun = many if whole > 1 else one
    if whole and whole % 10**6 == 0:
        noun = f"d'{many}" if many[0] in "aeiou" else f"de {many}"
    said = f"{say_value(Decimal(whole), feminine=feminine)} {noun}"
    return f"{said} {cardinal(fraction)}" if fraction else said


def _say_cents(number: int, one: str, many: str) -> str:
    return f"{cardinal(number)} {many if number > 1 else one}"
