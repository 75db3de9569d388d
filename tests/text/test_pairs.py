"""Texts as a backend sends them and as an announcer says them: the files in pairs/, and every blind level."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from monica.text import Normaliser

FOLDER = Path(__file__).parent / "pairs"
NORMALISER = Normaliser()


def read_pairs(path: Path) -> list[tuple[str, str]]:
    r"""Read the "written => said" lines of a file. A \n in the written form stands for a line feed."""
    pairs = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        written, arrow, said = line.partition(" => ")
        if arrow:
            pairs.append((written.replace("\\n", "\n"), said))
        else:
            assert not line or line.startswith("#"), f"{path.name}: {line!r} is neither a pair nor a comment"
    return pairs


PAIRS = [(path.stem, *pair) for path in sorted(FOLDER.glob("*.txt")) for pair in read_pairs(path)]

AMOUNTS = {
    10: "dix", 15: "quinze", 20: "vingt", 25: "vingt-cinq", 30: "trente", 40: "quarante", 50: "cinquante",
    60: "soixante", 75: "soixante-quinze", 80: "quatre-vingts", 100: "cent", 125: "cent vingt-cinq",
    150: "cent cinquante", 200: "deux cents", 250: "deux cent cinquante", 300: "trois cents",
    400: "quatre cents", 500: "cinq cents", 600: "six cents", 700: "sept cents", 800: "huit cents",
    1000: "mille", 1200: "mille deux cents", 1400: "mille quatre cents", 1500: "mille cinq cents",
    1600: "mille six cents", 2000: "deux mille", 2400: "deux mille quatre cents",
    2500: "deux mille cinq cents", 3000: "trois mille", 4000: "quatre mille", 5000: "cinq mille",
    6000: "six mille", 8000: "huit mille", 10000: "dix mille", 12000: "douze mille", 16000: "seize mille",
    20000: "vingt mille",
}  # fmt: skip
LEVELS = [
    (10, 20), (15, 30), (20, 40), (25, 50), (30, 60), (40, 80), (50, 100), (75, 150), (100, 200), (125, 250),
    (150, 300), (200, 400), (250, 500), (300, 600), (400, 800), (500, 1000), (600, 1200), (700, 1400),
    (800, 1600), (1000, 1500), (1000, 2000), (1200, 2400), (1500, 3000), (2000, 3000), (2000, 4000),
    (2500, 5000), (3000, 6000), (4000, 8000), (5000, 10000), (6000, 12000), (8000, 16000), (10000, 20000),
]  # fmt: skip


def written_forms(amount: int) -> list[str]:
    grouped = f"{amount:,}"
    forms = [
        str(amount),
        grouped.replace(",", " "),
        grouped.replace(",", "."),
        grouped.replace(",", "\u202f"),
    ]
    return [*dict.fromkeys(forms), *([f"{amount // 1000}k"] if amount % 1000 == 0 else [])]


@pytest.mark.parametrize(("rule", "written", "said"), PAIRS)
def test_text_is_said_as_an_announcer_says_it(rule: str, written: str, said: str) -> None:
    assert NORMALISER.normalise(written).text == said


@pytest.mark.parametrize("said", sorted({said for _, _, said in PAIRS}))
def test_said_text_is_left_alone(said: str) -> None:
    assert NORMALISER.normalise(said).text == said


def test_table_is_large_and_has_no_duplicates() -> None:
    assert len(PAIRS) >= 400
    assert len({(rule, written) for rule, written, _ in PAIRS}) == len(PAIRS)


@pytest.mark.parametrize(("small", "big"), LEVELS)
def test_every_blind_level_with_every_ante(small: int, big: int) -> None:
    level = f"{AMOUNTS[small]}, {AMOUNTS[big]}"
    antes = [ante for ante in AMOUNTS if big // 10 <= ante <= big and ante in {big, small, big // 8, big // 10}]
    for one, two in itertools.product(written_forms(small), written_forms(big)):
        assert NORMALISER.normalise(f"{one}/{two}").text == level
        for ante, third in itertools.product(antes, ("{0}/{1}/{2}", "{0}/{1} ante {2}", "{0}/{1} ({2})")):
            said = NORMALISER.normalise(third.format(one, two, ante)).text
            assert said == f"{level}, ante {AMOUNTS[ante]}"
    announced = NORMALISER.normalise(f"Niveau 5 : blinds {small}/{big}.").text
    assert announced == f"Niveau cinq: blaïnedes {level}."


def test_applied_rules_are_named_once_each_in_order() -> None:
    normalised = NORMALISER.normalise("M. Dupont, table 12, M. Durand, table 21 !!")
    assert normalised.rules == ("marks", "titles", "numbers")
    assert NORMALISER.normalise("Bonjour à tous.").rules == ()


def test_other_languages_get_only_characters_and_punctuation() -> None:
    english = Normaliser(language="en").normalise("“Hello” Mr. Smith – 100/200, 20h30 🎉 !!")
    assert english.text == "Hello Mr. Smith, 100/200, 20h30!"
    assert english.rules == ("emoji", "quotes", "dashes", "marks")
    assert Normaliser(language="en").normalise("٤٥ players, Ｂｒａｖｏ").text == "45 players, Bravo"
