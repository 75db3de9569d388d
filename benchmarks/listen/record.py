"""Makes the good and the damaged takes, and has them heard. What was done is kept, sentence by sentence."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.listen.damage import GOOD, Sound, damaged
from benchmarks.listen.sentences import SENTENCES
from benchmarks.listen.voices import Voice
from monica.audio.silence import trim_silence
from monica.audio.stretch import stretch
from monica.listening.whisper import RATE, Whisper

RENDERINGS = (1.0, 0.92, 1.08)
"""Speeds of the good takes."""


@dataclass(frozen=True, slots=True)
class Take:
    """A take, and what was heard of it."""

    sentence: int
    kind: str
    samples: Sound
    rate: int
    free: str | None
    told: str
    as_made: bool
    """Whether it is a good take that nothing was done to, not even to its speed."""


def takes(voice: Voice, whisper: Whisper | None, expected: list[str], folder: Path) -> Iterator[Take]:
    """Yield the takes of every sentence. folder: what is there already is not made again.

    whisper: None to yield only what is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(SENTENCES)):
        path = folder / f"{number}.npz"
        if not path.is_file():
            if whisper is None:
                continue
            _record(voice, whisper, expected[number], number, path)
        with np.load(path) as kept:
            heard = json.loads(str(kept["heard"]))
            for n, (kind, free, told) in enumerate(heard):
                yield Take(number, kind, kept[f"take{n}"].astype(np.float32) / 32767, voice.rate, free, told, n == 0)


def _record(voice: Voice, whisper: Whisper, expected: str, number: int, path: Path) -> None:
    sentence, other = SENTENCES[number], SENTENCES[(number + 7) % len(SENTENCES)]
    said: dict[str, Sound] = {}

    def say(text: str) -> Sound:
        if text not in said:
            said[text] = trim_silence(voice.say(text), voice.rate)
        return said[text]

    good = say(sentence.text)
    made = [(GOOD, stretch(good, voice.rate, speed)) for speed in RENDERINGS]
    made += damaged(sentence, good, say(other.text), voice.rate, say, zlib.crc32(sentence.text.encode()))
    heard = []
    for kind, samples in made:
        transcript = whisper.transcribe(_resample(samples, voice.rate), expected.split())
        heard.append((kind, transcript.free, transcript.told))
    arrays = {f"take{n}": (np.clip(samples, -1, 1) * 32767).astype(np.int16) for n, (_, samples) in enumerate(made)}
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, heard=np.array(json.dumps(heard)), **arrays)  # type: ignore[arg-type]
    part.replace(path)


def _resample(samples: Sound, rate: int) -> Sound:
    if rate == RATE:
        return samples
    import soxr

    resampled: Sound = soxr.resample(samples, rate, RATE)
    return resampled
