"""Gives Pico's process odd texts, and kills or stops it now and then: `python -m benchmarks.fuzz_pico [--texts N]`.

Every text must be answered, with sound or with "nothing to say", and within the bound; no text may make the process
hang or die by itself; and after each disturbance a known sentence must sound as ever. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.hardware import describe_cpu
from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.french_ipa import CONSONANTS, VOWELS
from monica.engine.pico.engine import VOICES, PicoEngine
from monica.errors import InvalidText

KNOWN = "Pablo vient de se faire éliminer par Rusmir!"
SYLLABLES = ("pa", "tré", "ou", "ill", "gn", "x", "k", "œ", "ü", "st", "ñ", "qu", "ée", "h", "y", "-", "'")
WORDS = ("la", "table", "Rusmir", "M.", "n°", "21h30", "100 000", "50 %", "3,5", "1.000.000", "l'", "A", "€", "etc.")
MARKS = ".,;:!?…'’-–—()[]{}<>&|/\\*_~^`\"«»@#$%€£+=°§"


def _word(chance: random.Random) -> str:
    return "".join(chance.choice(SYLLABLES) for _ in range(chance.choice((1, 2, 2, 3, 3, 5, 5, 12, 12, 60))))


def _phonemes(chance: random.Random) -> str:
    symbols = [chance.choice((*VOWELS, *CONSONANTS)) for _ in range(chance.choice((1, 4, 4, 9, 30)))]
    return f"⟦{''.join(symbols)}⟧"


def _unicode(chance: random.Random) -> str:
    top = chance.choice((0x7F, 0x17F, 0x24F, 0x1EFF, 0xFFFF, 0x10FFFF))
    points = [chance.randrange(1, top) for _ in range(chance.choice((1, 8, 8, 40)))]
    return "".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)


def _repeated(chance: random.Random) -> str:
    what: str = chance.choice((_unicode(chance)[:2] or "a", *SYLLABLES, *MARKS, "9", "É", "W"))
    return what * chance.choice((2, 2, 3, 3, 41, 150))


def _markup(chance: random.Random) -> str:
    return chance.choice(
        ('<genfile file="/x">', "<speed level='5'>", '<phoneme ph="', "</p>", "<s>", "⟦", "⟧", "&#60;")
    )


KINDS: tuple[Callable[[random.Random], str], ...] = (
    _word, _phonemes, _unicode, _repeated, _markup,
    lambda chance: chance.choice(WORDS),
    lambda chance: chance.choice(MARKS) * chance.choice((1, 1, 3)),
    lambda chance: str(chance.randrange(10 ** chance.choice((1, 4, 12, 40)))),
)  # fmt: skip


def odd_text(chance: random.Random) -> str:
    """Return a text of one to ten odd parts."""
    parts = [chance.choice(KINDS)(chance) for _ in range(chance.choice((1, 1, 1, 1, 1, 2, 2, 3, 10)))]
    return chance.choice(("", " ", " ")).join(parts)


@dataclass
class Tally:
    """What became of the texts."""

    spoken: int = 0
    silent: int = 0
    """Texts with nothing to say."""
    replaced: int = 0
    """Times the process ended on a text."""
    killed: int = 0
    wrong: list[str] = field(default_factory=list)
    longest_s: float = 0.0


def fuzz(texts: int, seed: int, language: str = "fr", disturb_every: int = 0) -> Tally:
    """Say so many odd texts. disturb_every: kill the process before one step in so many; 0 for never."""
    engine, chance, tally = PicoEngine(Settings(language=language)), random.Random(seed), Tally()
    engine.load()
    known = speak(engine, KNOWN, voice="", params=SynthesisParams(), seed=0).tobytes()
    for n in range(texts):
        text = odd_text(chance)
        utterance = engine.begin(text, voice="", params=SynthesisParams(), seed=n, stream=chance.random() < 0.5)
        while not utterance.done:
            if disturb_every and chance.randrange(disturb_every) == 0:
                os.kill(engine.pid or 0, signal.SIGKILL)
                tally.killed += 1
            before, began = engine.pid, time.perf_counter()
            engine.step()
            tally.longest_s = max(tally.longest_s, time.perf_counter() - began)
            tally.replaced += engine.pid != before and not disturb_every
        engine.drop(utterance)
        tally.spoken += utterance.samples is not None
        tally.silent += isinstance(utterance.error, InvalidText)
        if utterance.samples is None and not isinstance(utterance.error, InvalidText):
            tally.wrong.append(f"{utterance.error} {text!r}")
        if n % 100 == 99 and speak(engine, KNOWN, voice="", params=SynthesisParams(), seed=0).tobytes() != known:
            tally.wrong.append(f"{KNOWN!r} sounds different after {text!r}")
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--language", choices=sorted(VOICES), default="fr")
    options = parser.parse_args()
    print(f"\nPico's process and {options.texts} odd texts, on {describe_cpu()}\n")
    print("| process | spoken | nothing to say | killed | ended on a text | wrong | longest step |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    failed = False
    for name, share, every in (("undisturbed", 0.9, 0), ("killed now and then", 0.1, 20)):
        tally = fuzz(int(options.texts * share), options.seed, options.language, every)
        row = (name, tally.spoken, tally.silent, tally.killed, tally.replaced, len(tally.wrong))
        print(f"| {' | '.join(map(str, row))} | {tally.longest_s:.2f} s |", flush=True)
        for each in tally.wrong[:20]:
            print(each, file=sys.stderr)
        failed = failed or bool(tally.wrong or tally.replaced)
    sys.exit(failed)


if __name__ == "__main__":
    main()
