"""Every rule, in the order in which they are applied. This table is the only place where a rule is registered.

To add one: write a function from text to text in the file about its subject, add one line here, and add the lines
"written => said" to a file in tests/text/pairs. A rule that is not sure leaves the text alone: the next, more general
rule may know better. Rules are applied round after round until nothing changes, so what a rule writes must itself be
text that no rule changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from monica.text import (
    blinds,
    boards,
    cards,
    chips,
    clock,
    dates,
    emoji,
    gender,
    grouping,
    inclusive,
    markup,
    money,
    multipliers,
    numbers,
    ordinals,
    per,
    phones,
    plus_minus,
    punctuation,
    ratios,
    stakes,
    surnames,
    symbols,
    titles,
    unicode,
    units,
    web,
    words,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A named step of the normalisation."""

    name: str
    """What `POST /v1/text` calls the rule in its list `rules`. Part of the HTTP contract: it never changes."""
    apply: Callable[[str], str]
    """Returns the text with the rule applied, or the text itself if there is nothing for the rule to do."""
    needs_digit: bool = False
    """Skip the rule if the text has no digit. Set it on rules that read figures: most of a second round then costs
    nothing. On a rule that looks for a digit anyway, leaving it out costs time and changes nothing else."""


AS_WRITTEN = (
    Rule("inclusive", inclusive.read_inclusive_writing),
    Rule("seconds", clock.read_second_marks, needs_digit=True),
    Rule("less", plus_minus.read_less_and_more, needs_digit=True),
)
"""French only. What looks like a bullet, a dash or an address once its characters are settled: joueur·euse, tou.te.s,
"- de 10 places"."""

CHARACTERS = (
    Rule("lines", punctuation.read_line_ends),
    Rule("markup", markup.drop_markup),
    Rule("unicode", unicode.write_plain_characters),
    Rule("emoji", emoji.drop_emoji),
)
"""What characters the text has, settled before any rule looks at them. Line ends come first, before they turn into
spaces."""

ACCENTS_RULE = "accents"
"""The name of the step after CHARACTERS, French only. It gives a text that was typed without accents its accents back,
so that the other rules find the words they list: "defaites" is feminine once it is "défaites". It comes before
ADDRESSES, whose readings have accents: a text with a link in it would be taken for one that was typed with care."""

ADDRESSES = (Rule("web", web.read_addresses),)
"""French only. Addresses come before punctuation, which would tear them apart at their dots and slashes."""

PUNCTUATION = (
    Rule("quotes", punctuation.drop_quotes),
    Rule("dashes", punctuation.read_dashes),
    Rule("marks", punctuation.reduce_marks),
)
"""Quotes, dashes and repeated marks, as a voice can say them."""

BEFORE_LEXICON = (
    Rule("names", surnames.write_surnames),
    Rule("boards", boards.read_boards),
    Rule("items", grouping.separate_items, needs_digit=True),
    Rule("lists", grouping.separate_lists, needs_digit=True),
    Rule("grouping", grouping.join_groups, needs_digit=True),
    Rule("millions", chips.write_millions, needs_digit=True),
    Rule("per", per.read_each),
    Rule("stakes", stakes.read_stakes, needs_digit=True),
    Rule("labels", gender.separate_labels, needs_digit=True),
    Rule("stacks", chips.split_chip_stacks, needs_digit=True),
    Rule("blinds", blinds.read_blind_levels, needs_digit=True),
    Rule("gender", gender.read_feminine_counts, needs_digit=True),
)
"""French only: rules that need the words as they were written. "blinds" makes 100-200 a level, and "BB" is feminine;
the venue's lexicon may respell both, as it respells "turn" and "HU". "grouping" comes before every rule that reads an
amount, "stakes" before "blinds", which would say the three of 5/5/10 as a date."""

LEXICON_RULE = "lexicon"
"""The name of the step between BEFORE_LEXICON and AFTER_LEXICON, which applies the venue's lexicon."""

AFTER_LEXICON = (
    Rule("hands", cards.read_hands),
    Rule("cards", cards.read_cards),
    Rule("comparisons", symbols.read_comparisons, needs_digit=True),
    Rule("number_sign", titles.read_number_signs),
    Rule("titles", titles.write_out_titles),
    Rule("abbreviations", titles.write_out_abbreviations),
    Rule("phones", phones.read_phone_numbers, needs_digit=True),
    Rule("days", dates.write_out_days),
    Rule("dates", dates.read_dates, needs_digit=True),
    Rule("ranges", ratios.read_ranges, needs_digit=True),
    Rule("odds", ratios.read_odds, needs_digit=True),
    Rule("clock", clock.read_times_of_day, needs_digit=True),
    Rule("durations", clock.read_durations, needs_digit=True),
    Rule("signs", plus_minus.read_plus_and_minus),
    Rule("money", money.read_money, needs_digit=True),
    Rule("units", units.read_measures, needs_digit=True),
    Rule("chips", chips.read_chip_amounts, needs_digit=True),
    Rule("times", multipliers.read_multipliers, needs_digit=True),
    Rule("percent", units.read_percentages),
    Rule("roman", ordinals.read_roman_numerals),
    Rule("ratios", ratios.read_ratios, needs_digit=True),
    Rule("ordinals", ordinals.read_ordinals, needs_digit=True),
    Rule("powers", units.read_powers),
    Rule("symbols", symbols.read_symbols),
    Rule("currencies", money.read_lone_currencies),
    Rule("numbers", numbers.read_numbers, needs_digit=True),
    Rule("digits", numbers.read_leftover_digits, needs_digit=True),
    Rule("acronyms", words.spell_acronyms),
    Rule("capitals", words.lower_capitals),
    Rule("slashes", symbols.read_slashes),
)
"""French only, from the most specific to the most general: each rule claims its digits before a vaguer one can. A hand
is not a duration, a telephone number not a date, a date not a fraction, a time not a ratio; "digits" takes what is
left. Signs come before the amounts they precede. Capitals come last, since XIV, AKs and 20H are recognised by theirs.
A slash becomes a pause only after every other rule has looked at it."""

SETTLING = (
    Rule("brackets", punctuation.read_brackets),
    Rule("settle", punctuation.settle_marks),
)
"""Late, because "100/200 (25)" is an ante before it is an aside."""

FRENCH_BEFORE_ACCENTS = (*AS_WRITTEN, *CHARACTERS)
FRENCH_BEFORE_LEXICON = (*ADDRESSES, *PUNCTUATION, *BEFORE_LEXICON)
FRENCH_AFTER_LEXICON = (*AFTER_LEXICON, *SETTLING)
OTHER_LANGUAGES = (*CHARACTERS, *PUNCTUATION, *SETTLING)
