"""Sounds with known properties, for the modules that work on samples."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.espeak import EspeakEngine

Sound = NDArray[np.float32]


def sine(hertz: float, seconds: float, rate: int, level: float = 0.3) -> Sound:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds: float, rate: int, level: float = 0.1) -> Sound:
    return (level * np.random.default_rng(0).standard_normal(round(seconds * rate))).astype(np.float32)


def silence(seconds: float, rate: int) -> Sound:
    return np.zeros(round(seconds * rate), np.float32)


@cache
def speech(text: str = "Pablo vient de se faire éliminer par Rusmir !") -> tuple[Sound, int]:
    """Return a text as espeak-ng says it, and its sample rate."""
    engine = EspeakEngine(Settings())
    engine.load()
    samples = speak(engine, text, voice="", params=SynthesisParams(), seed=0)
    samples.setflags(write=False)
    return samples, engine.sample_rate


def likeness(heard: Sound, meant: Sound) -> float:
    """Return the correlation of two sounds at the best offset, from 0 to 1. Missing parts lower it."""
    scale = np.linalg.norm(heard.astype(float)) * np.linalg.norm(meant.astype(float))
    return float(correlate(heard.astype(float), meant.astype(float), method="fft").max() / scale)
