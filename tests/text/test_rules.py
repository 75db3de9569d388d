"""The table of rules: every name that POST /v1/text may answer, and what needs_digit may skip."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from monica.text.accents import restore_accents
from monica.text.rules import (
    ACCENTS_RULE,
    FRENCH_AFTER_LEXICON,
    FRENCH_BEFORE_ACCENTS,
    FRENCH_BEFORE_LEXICON,
    OTHER_LANGUAGES,
    Rule,
)
from tests.text.test_pairs import PAIRS

FRENCH = (*FRENCH_BEFORE_ACCENTS, *FRENCH_BEFORE_LEXICON, *FRENCH_AFTER_LEXICON)
CONTRACT = (
    "inclusive", "seconds", "less", "lines", "markup", "unicode", "emoji", "accents", "web", "quotes", "dashes",
    "marks", "names", "boards", "items", "lists", "grouping", "millions", "per", "stakes", "labels", "stacks", "blinds",
    "gender", "hands", "cards", "comparisons", "number_sign", "titles", "abbreviations", "phones", "days", "dates",
    "ranges", "odds", "clock", "durations", "signs", "money", "units", "chips", "times", "percent", "roman", "ratios",
    "ordinals", "powers", "symbols", "currencies", "numbers", "digits", "acronyms", "capitals", "slashes", "brackets",
    "settle",
)  # fmt: skip
WITHOUT_DIGITS = st.lists(
    st.sampled_from(sorted({"".join(c for c in text if not c.isdecimal()) for _, *pair in PAIRS for text in pair})),
    max_size=4,
).map(" ".join)


def test_rule_names_are_those_of_the_contract_in_their_order() -> None:
    accents = Rule(ACCENTS_RULE, restore_accents)
    french = (*FRENCH_BEFORE_ACCENTS, accents, *FRENCH_BEFORE_LEXICON, *FRENCH_AFTER_LEXICON)
    assert tuple(rule.name for rule in french) == CONTRACT
    assert set(OTHER_LANGUAGES) < set(FRENCH)


@given(WITHOUT_DIGITS)
@settings(deadline=None, max_examples=200)
def test_rules_that_need_a_digit_leave_a_text_without_one_alone(text: str) -> None:
    for rule in FRENCH:
        # "numbers" also writes "un million d'euros", which it leaves to texts that have a digit somewhere.
        if rule.needs_digit and rule.name != "numbers":
            assert rule.apply(text) == text, rule.name
