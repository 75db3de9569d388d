"""What the checks of a take find by its signal alone: `python -m benchmarks.signal [--texts N]`.

Pico says announcements of many kinds. Its duration model is fitted to one half of them. The takes of the other half are
examined, as they are and damaged in the ways in which neural voices fail. Nothing was fitted or chosen on that half.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from benchmarks.announcements import FRENCH
from benchmarks.hardware import describe_cpu
from monica.audio.activity import Activity
from monica.audio.stretch import stretch
from monica.config import Settings
from monica.engine import PHONEMES, Engine, SynthesisParams, speak
from monica.engine.registry import engine_spec
from monica.synthesis.duration import PRIOR, DurationModel, Expectation, Point, parse_script
from monica.synthesis.faults import Fault, find_faults
from monica.text.frontend import TextFrontend
from monica.warming.book import PhraseBook

BOOK = Path(__file__).parent.parent / "examples" / "bourly-poker-tour.toml"

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Good:
    """A text as it is said, and a good take of it."""

    text: str
    samples: Samples


class Damage:
    """The ways in which takes go wrong, made from good ones. Each returns None if it does not fit the take."""

    def __init__(self, engine: Engine, takes: list[Good], seed: int) -> None:
        self._engine = engine
        self._rate = engine.sample_rate
        self._takes = takes
        self._random = np.random.default_rng(seed)

    def kinds(self) -> dict[str, Callable[[Good], Samples | None]]:
        """Return what makes each kind, in the order of the table."""
        return {
            "segment repeated": self._repeat,
            "last half second four times": self._loop,
            "another sentence": lambda take: self._another(take).samples,
            "2 s of another appended": lambda take: self._append(
                take, self._speech(self._another(take))[: self._count(2)]
            ),
            "babble of 0.7 s at the end": lambda take: self._append(take, self._speech(take)[::-1][: self._count(0.7)]),
            "babble of 2 s at the end": lambda take: self._append(take, self._speech(take)[::-1][: self._count(2)]),
            "noise of 0.8 s at the end": lambda take: self._append(take, self._noise(take, 0.8)),
            "1.5 s of silence inside": self._gap,
            "silent from the middle on": self._fade,
            "cut by 10 %": lambda take: self._cut(take, 0.1),
            "cut by 25 %": lambda take: self._cut(take, 0.25),
            "cut by 40 %": lambda take: self._cut(take, 0.4),
            "first word missing": lambda take: self._without(take, 0),
            "middle word missing": lambda take: self._without(take, len(take.text.split()) // 2),
            "last word missing": lambda take: self._without(take, -1),
            "another word in the middle": self._wrong_word,
            "1.5 times as fast": lambda take: stretch(take.samples, self._rate, 1.5),
            "half as fast": lambda take: stretch(take.samples, self._rate, 0.5),
            "clipped": lambda take: np.clip(take.samples * 8, -1, 1),
        }

    def _count(self, seconds: float) -> int:
        return round(seconds * self._rate)

    def _bounds(self, take: Good) -> tuple[int, int]:
        """Return the samples at which the speech begins and ends."""
        activity = Activity.of(take.samples, self._rate)
        width = activity.window_s * self._rate
        return round(activity.loud[0] * width), round((activity.loud[-1] + 1) * width)

    def _speech(self, take: Good) -> Samples:
        first, end = self._bounds(take)
        return take.samples[first:end]

    def _another(self, take: Good) -> Good:
        return self._takes[(self._takes.index(take) + len(self._takes) // 2) % len(self._takes)]

    def _append(self, take: Good, sound: Samples) -> Samples:
        return np.concatenate([take.samples[: self._bounds(take)[1]], sound])

    def _repeat(self, take: Good) -> Samples:
        """Say a segment twice: a third of the speech, 0.6 s at least."""
        first, end = self._bounds(take)
        length = min(end - first, max(self._count(0.6), (end - first) // 3))
        start = first + int(self._random.integers(0, end - first - length + 1))
        return np.insert(take.samples, start + length, take.samples[start : start + length])

    def _loop(self, take: Good) -> Samples:
        return self._append(take, np.tile(self._speech(take)[-self._count(0.5) :], 3))

    def _noise(self, take: Good, seconds: float) -> Samples:
        level = 10 ** (Activity.of(take.samples, self._rate).level_db / 20)
        return (0.1 * level * self._random.standard_normal(self._count(seconds))).astype(np.float32)

    def _middle(self, take: Good) -> int:
        first, end = self._bounds(take)
        return int(self._random.integers(first + (end - first) // 4, end - (end - first) // 4))

    def _gap(self, take: Good) -> Samples:
        at = self._middle(take)
        return np.concatenate([take.samples[:at], np.zeros(self._count(1.5), np.float32), take.samples[at:]])

    def _fade(self, take: Good) -> Samples:
        faded = take.samples.copy()
        faded[sum(self._bounds(take)) // 2 :] *= 10 ** (-30 / 20)
        return faded

    def _cut(self, take: Good, share: float) -> Samples:
        first, end = self._bounds(take)
        return take.samples[: end - round(share * (end - first))]

    def _without(self, take: Good, place: int) -> Samples | None:
        words = take.text.split()
        if len(words) < 4:
            return None
        words.pop(place)
        return say(self._engine, " ".join(words))

    def _wrong_word(self, take: Good) -> Samples | None:
        words, others = take.text.split(), self._another(take).text.split()
        if len(words) < 4:
            return None
        words[len(words) // 2] = others[len(others) // 2]
        return say(self._engine, " ".join(words))


def say(engine: Engine, text: str) -> Samples:
    return speak(engine, text, voice="", params=SynthesisParams(), seed=0)


def texts(count: int) -> Iterator[str]:
    """Yield announcements: the everyday ones, some of the example's book, and some that are several sentences long."""
    shuffled = random.Random(0)
    yield from FRENCH
    book = PhraseBook.parse(BOOK.read_text(), BOOK.name, 500)
    yield from shuffled.sample([phrase.text for phrase in book.phrases()], count - len(FRENCH) - count // 5)
    for number in range(count // 5):
        yield " ".join(shuffled.sample(FRENCH, 2 + number % 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", default="pico")
    parser.add_argument("--texts", type=int, default=240)
    given = parser.parse_args()
    settings = Settings(engine=given.engine)
    engine = engine_spec(given.engine).make(settings)
    engine.load()
    frontend = TextFrontend(settings)
    said = dict.fromkeys(sentence for text in texts(given.texts) for sentence in frontend.prepare(text).sentences)
    takes = [Good(text, say(engine, text)) for text in said]
    random.Random(1).shuffle(takes)
    fitted, held_out = takes[: len(takes) // 2], takes[len(takes) // 2 :]
    print(f"{describe_cpu()}; {engine.model}; {len(fitted)} takes to fit, {len(held_out)} to examine\n")
    compare_counts(fitted, held_out, engine.sample_rate)
    model = DurationModel.fit([point(take, engine.sample_rate) for take in fitted])
    constant, sound, comma, stop = model.coefficients
    print(f"\nseconds = {constant:.3f} + {sound:.3f} a sound + {comma:.2f} a comma + {stop:.2f} a stop; ", end="")
    print(f"tolerance: a factor of {np.exp(model.tolerance):.2f}\n")
    show_detection(Damage(engine, held_out, seed=0), held_out, engine.sample_rate, model)


def show_detection(damage: Damage, takes: list[Good], rate: int, model: DurationModel) -> None:
    """Print what is found of each kind of damage: with the fitted model, and with the prior."""
    print("| take | examined | found | by | found with the prior |\n| --- | --- | --- | --- | --- |")
    totals: list[int] = [0, 0, 0]
    seconds: list[float] = []
    for kind, make in {"as it is": lambda take: take.samples, **damage.kinds()}.items():
        made = [(take.text, samples) for take in takes if (samples := make(take)) is not None]
        faults, by_prior = [], 0
        for text, samples in made:
            began = time.perf_counter()
            faults.append(find_faults(samples, rate, text, model.expect(text)))
            seconds.append(time.perf_counter() - began)
            by_prior += bool(find_faults(samples, rate, text, PRIOR.expect(text)))
        every = [fault for found in faults for fault in found]
        by = ", ".join(f"{fault} {every.count(fault)}" for fault in Fault if fault in every)
        counts = [len(made), sum(map(bool, faults)), by_prior]
        show_row(kind, counts, by)
        if kind != "as it is":
            totals = [total + count for total, count in zip(totals, counts, strict=True)]
    show_row("all damaged", totals, "")
    print(f"\nAn examination takes {1000 * float(np.median(seconds)):.1f} ms (median).")


def show_row(kind: str, counts: list[int], by: str) -> None:
    examined, found, by_prior = counts
    print(f"| {kind} | {examined} | {100 * found / examined:.1f} % | {by} | {100 * by_prior / examined:.1f} % |")


def compare_counts(fitted: list[Good], held_out: list[Good], rate: int) -> None:
    """Print how well durations are predicted if sounds are counted in other ways."""
    ways: dict[str, Callable[[str], int]] = {
        "characters": len,
        "letters and letter groups": lambda text: parse_script(text).sounds,
        "espeak-ng's phonemes": Phonemes().count,
    }
    print("| sounds counted by | off by, median | 95th percentile |\n| --- | --- | --- |")
    for way, count in ways.items():
        model = DurationModel.fit([point(take, rate)._replace(sounds=count(take.text)) for take in fitted])
        off = []
        for take in held_out:
            sounds, commas, stops, seconds = point(take, rate)._replace(sounds=count(take.text))
            expected = Expectation(float(np.dot(model.coefficients, (1, sounds, commas, stops))), 0)
            off.append(abs(expected.deviation(seconds)))
        print(f"| {way} | {100 * np.median(off):.1f} % | {100 * np.percentile(off, 95):.1f} % |")


class Phonemes:
    """Counts the phonemes of French texts as espeak-ng reads them."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._library.espeak_Initialize(1, 0, espeakng_loader.get_data_path().encode(), 0x8000)
        self._library.espeak_SetVoiceByName(b"fr")
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def count(self, text: str) -> int:
        written = PHONEMES.sub(lambda m: m[1], text)
        left, count = ctypes.c_char_p(written.encode()), 0
        while left.value:
            ipa = self._library.espeak_TextToPhonemes(ctypes.byref(left), 1, 2).decode()
            count += sum(char.isalpha() and not unicodedata.combining(char) and char != "ː" for char in ipa)
        return count


def point(take: Good, rate: int) -> Point:
    return Point(*parse_script(take.text)[:3], Activity.of(take.samples, rate).seconds)


if __name__ == "__main__":
    main()
