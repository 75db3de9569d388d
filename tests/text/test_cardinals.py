"""Numbers in words, compared with the package num2words."""

from __future__ import annotations

import random

from num2words import num2words

from monica.text.cardinals import spell


def test_every_number_up_to_two_thousand_is_said_as_num2words_says_it() -> None:
    for number in range(2001):
        assert spell(number) == num2words(number, lang="fr")


def test_large_numbers_are_said_as_num2words_says_them() -> None:
    """All kinds of groups, and those after which "cent" and "vingt" have an s or none, in every place."""
    groups = (0, 1, 2, 20, 21, 71, 80, 81, 91, 99, 100, 101, 180, 200, 280, 999)
    places = [group * 1000**power + rest for power in range(1, 5) for group in groups for rest in groups]
    generator = random.Random(0)
    anything = [generator.randrange(10 ** generator.randrange(4, 16)) for _ in range(1000)]
    for number in (*places, *(place + 80_000_200 for place in places if place > 10**9), *anything, 10**15 - 1):
        assert spell(number) == num2words(number, lang="fr"), number
