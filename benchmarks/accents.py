"""Measures how well accents are given back: `python -m benchmarks.accents` prints it and asserts nothing.

The sentences of tests/text/accents are stripped of their accents and given to the rule. A word counts as right if the
rule made of it what was written, as wrong if it made anything else, and as missed if it left out an accent.
Precision is right / (right + wrong), recall is right / (right + wrong + missed).

Sources are compared by what each knows word by word, without neighbours: the form that has at least 98 % of the uses of
its letters. A source that is not installed is left out:

    uv run --with wordfreq==3.1.1 --with pyspellchecker==0.9.1 python -m benchmarks.accents
"""

from __future__ import annotations

import functools
import importlib.util
import re
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from monica.text import Lexicon
from monica.text.accents import restore_accents
from monica.text.accents_choice import choose
from monica.text.accents_table import PATH, readings, strip_accents
from monica.text.accents_words import read_words

FOLDER = Path(__file__).parent.parent / "tests" / "text" / "accents"
HELD_OUT = ("heldout.txt", "heldout_later.txt", "heldout_last.txt", "heldout_more.txt", "heldout_fresh.txt",
            "heldout_unseen.txt")  # fmt: skip
WORD = re.compile(r"[^\W\d_]+")
SURE = 0.98
"""The share of the uses of its letters that a form must have, for a source to be asked word by word."""
SENTENCE = "La table 12 est cassee : les 21 joueurs rejoignent les tables 3 et 5, reprise a 20h30, merci a tous !"
MEMORY = """
import psutil
from monica.text.accents import restore_accents
process = psutil.Process()
before = process.memory_info().rss
restore_accents({text!r})
print(process.memory_info().rss - before)
"""


@dataclass
class Score:
    """Counts of the words that a rule was asked about."""

    right: int = 0
    missed: list[str] = field(default_factory=list)
    """The words that have an accent and were left alone, with the sentence."""
    wrong: list[str] = field(default_factory=list)
    """The words that became something else, with the sentence."""
    by_reason: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """How often each rule was right and wrong."""

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + len(self.wrong))

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + len(self.wrong) + len(self.missed))

    def __str__(self) -> str:
        return (
            f"right {self.right:4}  wrong {len(self.wrong):3}  missed {len(self.missed):3}"
            f"  precision {self.precision:.4f}  recall {self.recall:.4f}"
        )


def read_sentences(name: str) -> list[str]:
    """Return the sentences of a file of tests/text/accents."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def restore_beside_poker(text: str) -> str:
    """Do as the normaliser does: words of the poker lexicon are left alone."""
    return restore_accents(text, _poker().words)


_poker = functools.cache(Lexicon.default)


def score(sentences: Iterable[str], restore: Callable[[str], str] = restore_beside_poker) -> Score:
    """Strip sentences, give them their accents back, and count."""
    total = Score()
    for sentence in sentences:
        plain = strip_accents(sentence)
        restored = restore(plain)
        reasons = _reasons(plain)
        for match in WORD.finditer(sentence):
            start, end = match.span()
            told = f"{match[0]!r} became {restored[start:end]!r}: {plain}"
            if restored[start:end] != plain[start:end]:
                correct = restored[start:end] == match[0]
                total.by_reason[reasons.get(start, "part of a compound"), correct] += 1
                total.right += correct
                total.wrong += [told] * (not correct)
            elif plain[start:end] != match[0]:
                total.missed.append(told)
    return total


def word_by_word(frequencies: Mapping[str, float]) -> Callable[[str], str]:
    """Return a rule that knows the frequencies of words, and nothing of neighbours."""
    forms: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for word, frequency in frequencies.items():
        forms[strip_accents(word)].append((frequency, word))
    sure = {}
    for key, found in forms.items():
        frequency, word = max(found)
        if word != key and frequency >= SURE * sum(each for each, _ in found):
            sure[key] = word

    def restore(text: str) -> str:
        return WORD.sub(lambda match: _in_case(match[0], sure.get(match[0].lower(), match[0].lower())), text)

    return restore


def sources() -> dict[str, Mapping[str, float]]:
    """Return the frequencies of the words of each installed source."""
    found: dict[str, Mapping[str, float]] = {}
    lines = [line.split(" ", 1)[0] for line in PATH.read_text().splitlines() if not line.startswith("#")]
    # The table has no frequencies: what it marks as rare has less than 2 %, and the rest share the rest.
    found["Lexique 3.83"] = {
        reading.form: 0.01 if reading.rare else 1.0 for key in lines for reading in readings.__wrapped__(key)
    }
    if _is_installed("wordfreq"):
        wordfreq = importlib.import_module("wordfreq")
        for size in ("small", "large"):
            found[f"wordfreq, {size}"] = wordfreq.get_frequency_dict("fr", wordlist=size)
    if _is_installed("spellchecker"):
        checker = importlib.import_module("spellchecker").SpellChecker(language="fr")
        found["pyspellchecker"] = {word: float(count) for word, count in checker.word_frequency.items()}
    return found


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _reasons(text: str) -> dict[int, str]:
    words = read_words(text)
    choose(words)
    return {word.start: word.reason for word in words if word.said is not None}


def _in_case(written: str, form: str) -> str:
    return form[0].upper() + form[1:] if written[0].isupper() else form


def median_ms(text: str, runs: int) -> float:
    """Return the median processor time of the rule over a text, in milliseconds."""
    restore_accents(text)
    times = []
    for _ in range(runs):
        start = time.process_time_ns()
        restore_accents(text)
        times.append((time.process_time_ns() - start) / 1e6)
    return statistics.median(times)


def main() -> None:
    """Print the tables."""
    files = {name: read_sentences(name) for name in (*HELD_OUT, "unaccented.txt")}
    for name, sentences in files.items():
        result = score(sentences)
        print(f"{name:20} {len(sentences):4} sentences  {result}")
        for reason in sorted({reason for reason, _ in result.by_reason}):
            right, wrong = result.by_reason[reason, True], result.by_reason[reason, False]
            print(f"    {reason:20} right {right:4}  wrong {wrong:3}")
        for kind, words in (("wrong", result.wrong), ("missed", result.missed)):
            for told in words:
                print(f"    {kind:6} {told}")
    held_out = [sentence for name in HELD_OUT for sentence in files[name]]
    print(f"\nword by word, without neighbours, on {len(held_out)} held-out sentences")
    for source, frequencies in sources().items():
        rule = word_by_word(frequencies)
        harm = len(score(files["unaccented.txt"], rule).wrong)
        print(f"    {source:20} {len(frequencies):7} words  {score(held_out, rule)}  changed in unaccented.txt {harm}")
    print(f"    with neighbours      {'':13}  {score(held_out)}")
    run = [sys.executable, "-c", MEMORY.format(text=SENTENCE)]
    grown = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    size = PATH.stat().st_size / 2**20
    print(f"\ntable {size:.2f} MiB, the first text makes a process {int(grown) / 2**20:.1f} MiB larger")
    page = ((SENTENCE + " ") * 50)[:5000]
    print(f"{len(SENTENCE)} characters {median_ms(SENTENCE, 501):.3f} ms, {len(page)} {median_ms(page, 21):.2f} ms")


if __name__ == "__main__":
    main()
