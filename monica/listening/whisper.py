"""Whisper by faster-whisper, as the listener uses it: one encoding of a take, two decodings, and where the words are.

Only the listener's own process imports this. An encoder window of ten seconds instead of Whisper's thirty costs a
quarter, and finds as much.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

RATE = 16000
WINDOWS_S = (10, 20, 30)
"""Lengths of what the encoder is given; the shortest that holds the take."""
FRAMES_PER_S = 100
MAX_COMPRESSION = 2.4
"""Of a text, by zlib. Above it, the recogniser has repeated itself: OpenAI's own limit."""
MAX_TOKENS = 448
AROUND_TOKENS = 8
"""Upper bound on the tokens that stand before and after a text when it is aligned."""
POSITIONS_PER_S = 50
"""Of the encoder."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard of a take."""

    free: str | None
    """Without a hint. None if the recogniser only repeated itself."""
    told: str
    """With the expected text as a hint."""
    bounds_s: tuple[float, ...]
    """Where each expected word begins, in seconds, and where the last one ends. Empty if the text is too long, or the
    take shorter than a fiftieth of a second."""


class Whisper:
    """A Whisper model on the CPU, in 8-bit integers. One thread may use it."""

    def __init__(self, folder: Path, language: str, threads: int) -> None:
        """Load the model. Raises ValueError if it does not know the language, and whatever a broken file leads to."""
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
        if not self._model.model.is_multilingual and language != "en":
            raise ValueError(f"the model knows English only, not {language}")
        self._tokenizer = Tokenizer(
            self._model.hf_tokenizer, self._model.model.is_multilingual, task="transcribe", language=language
        )

    def transcribe(self, samples: NDArray[np.float32], expected: Sequence[str]) -> Transcript:
        """Hear a take. samples: (N,) at RATE, without silence around them. expected: the words that should be said.

        Raises ValueError if it is too long.
        """
        seconds = len(samples) / RATE
        window = next((length for length in WINDOWS_S if seconds <= length), None)
        if window is None:
            raise ValueError(f"{seconds:.0f} s are too long: {WINDOWS_S[-1]} s are heard at most")
        features = self._model.feature_extractor(samples, chunk_length=window)
        encoded = self._model.encode(pad_or_trim(features, window * FRAMES_PER_S))
        words = [self._tokenizer.encode(" " + word) for word in expected]
        hint = list(itertools.chain(*words))
        free = self._decode(encoded, [], len(hint))
        # Half of Whisper's context may be a hint.
        told = self._decode(encoded, [self._tokenizer.sot_prev, *hint[: MAX_TOKENS // 2 - 1]], len(hint))
        looped = len(free) / max(1, len(zlib.compress(free.encode()))) > MAX_COMPRESSION
        bounds = self._align(encoded, words, round(seconds * FRAMES_PER_S))
        return Transcript(None if looped else free, told, bounds)

    def _decode(self, encoded: object, before: list[int], expected: int) -> str:
        prompt = [*before, *self._tokenizer.sot_sequence, self._tokenizer.no_timestamps]
        longest = min(MAX_TOKENS, len(prompt) + 2 * expected + 24)
        (found,) = self._model.model.generate(encoded, [prompt], beam_size=1, max_length=longest)
        return str(self._tokenizer.decode(found.sequences_ids[0])).strip()

    def _align(self, encoded: object, words: Sequence[Sequence[int]], frames: int) -> tuple[float, ...]:
        """Return where words begin, and the last one ends, by where the decoder looks while it is given them.

        words: the tokens of each. frames: how many of the encoder's are not padding.
        """
        tokens = list(itertools.chain(*words))
        if not tokens or len(tokens) > MAX_TOKENS - AROUND_TOKENS:
            return ()
        (found,) = self._model.model.align(encoded, self._tokenizer.sot_sequence, [tokens], [frames])
        begins: dict[int, int] = {}
        for token, position in found.alignments:
            begins.setdefault(token, position)
        if not begins:
            return ()
        firsts = itertools.accumulate(map(len, words), initial=0)  # of each word, and of what follows the last
        return tuple(begins[first] / POSITIONS_PER_S for first in firsts)
