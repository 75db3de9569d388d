"""Measures how long the French rules take: `python -m benchmarks.text` prints it and asserts nothing.

The cost of an announcement is the median of many runs over one sentence. For texts of the worst kind it prints a
ratio: the time per character of a text of 5 000 characters, divided by the time per character of the same text cut to
120. The ratio is about 1 if the rules are linear, and far above 1 if one is not.
"""

from __future__ import annotations

import platform
import statistics
import time
import tracemalloc

from monica.text import Lexicon, Normaliser, split_sentences
from monica.text.lexicon_entries import Entry, Reading

SENTENCE = (
    "La table 12 est cassée : les 21 joueurs rejoignent les tables 3 et 5, blinds 300/600, reprise à 20h30,"
    " merci à tous !!!"
)
TYPED_PLAINLY = (
    "La table 12 est cassee : les 21 joueurs rejoignent les tables 3 et 5, blinds 300/600, reprise a 20h30,"
    " merci a tous !!!"
)
"""What the accents rule has something to do on. The sentence above has accents, and is left alone by it."""
ENGINES = ("chatterbox", "espeak")
"""One that reads letters, and one that speaks phonemes."""
LENGTH = 5_000
WORST = {
    "announcements": SENTENCE + " ", "digits": "7", "grouped digits": "1 000 ", "dotted digits": "1.000.",
    "commas between digits": "1,", "slashes": "1/", "hyphens": "1-", "colons": "1:", "letters": "a",
    "capitals": "A", "capital words": "AB ", "dotted capitals": "A.", "brackets": "(", "marks": "!",
    "spaced marks": "! ", "full stops": ".", "dashes": "-", "spaced dashes": "- ", "quotes": "'",
    "suits": "♠", "cards": "A♠ ", "typed": "Ah", "ranks": "A-", "hands": "AK contre ", "e-mail": "a@",
    "hosts": "a.fr", "links": "www.", "tags": "<b ", "entities": "&a", "romans": "Louis X", "signs": "+1",
    "combining marks": "e\u0301\u0301", "emoji": "🎉", "pipes": "|", "spaces": "a  ", "line feeds": "a\n",
    "Arabic digits": "٥", "powers": "1²", "abbreviations": "M. ", "poker words": "Call ", "names": "M. Call ",
    "unaccented words": "le elimine a ete ", "words left alone": "Paul a la main ou ",
    "phonemes": "⟦ɔlin⟧ ", "phonemes without end": "⟦ɔlin",
}  # fmt: skip


def median_ms(normaliser: Normaliser, text: str, runs: int, engine: str = "espeak") -> float:
    """Return the median processor time for a text, in milliseconds. One run before it fills the tables."""
    normaliser.normalise(text, engine)
    times = []
    for _ in range(runs):
        start = time.process_time_ns()
        normaliser.normalise(text, engine)
        times.append((time.process_time_ns() - start) / 1e6)
    return statistics.median(times)


def lexicon_kilobytes(entries: int) -> float:
    """Return what a lexicon holds on the heap, in kB: the poker lexicon and `entries` more names."""
    tracemalloc.start()
    own = {f"Nom{n}": Entry(f"Nom{n}", reading=Reading(f"Nomme numéro {n}")) for n in range(entries)}
    lexicon = Lexicon.over_poker(own)
    del own
    held = tracemalloc.get_traced_memory()[0] / 1000
    tracemalloc.stop()
    del lexicon
    return held


def main() -> None:
    """Print the table."""
    normaliser = Normaliser()
    print(f"{platform.machine()}, Python {platform.python_version()}, processor time")
    for engine in ENGINES:
        for text, kind in ((SENTENCE, "sentence"), (TYPED_PLAINLY, "sentence without accents")):
            took = median_ms(normaliser, text, 501, engine)
            print(f"{len(text)}-character {kind}, median of 501, {engine}: {took:.3f} ms (target: under 1)")
    for entries in (0, 1000):
        print(f"poker lexicon and {entries} names: {lexicon_kilobytes(entries):.0f} kB")
    print(f"\n{'of the worst kind':24}{'120 characters':>16}{'5 000':>12}{'per character':>14}")
    ratios = []
    for name, unit in WORST.items():
        long = (unit * LENGTH)[:LENGTH]
        short_ms, long_ms = median_ms(normaliser, long[:120], 31), median_ms(normaliser, long, 3)
        ratios.append((long_ms / LENGTH) / (short_ms / 120))
        print(f"{name:24}{short_ms:13.3f} ms{long_ms:9.2f} ms{ratios[-1]:13.2f}x")
    print(f"\nworst ratio {max(ratios):.2f}x")
    page = normaliser.normalise((SENTENCE + " ") * 41).text
    start = time.process_time_ns()
    pieces = split_sentences(page)
    print(f"{len(page)} characters into {len(pieces)} pieces: {(time.process_time_ns() - start) / 1e6:.2f} ms")


if __name__ == "__main__":
    main()
