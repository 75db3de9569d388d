from __future__ import annotations

import numpy as np
import pytest

from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.espeak import EspeakEngine
from monica.synthesis.checks import Defect, find_defect

RATE = 1000
TEXT = "x" * 60


def tone(seconds: float, level: float = 0.1) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(round(seconds * RATE), level, np.float32)


@pytest.mark.parametrize(
    ("seconds", "defect"),
    [(0.9, Defect.TOO_SHORT), (1.1, None), (4.0, None), (17.9, None), (18.1, Defect.TOO_LONG)],
)
def test_length_of_a_take_must_fit_its_text(seconds: float, defect: Defect | None) -> None:
    assert find_defect(tone(seconds), RATE, TEXT, complete=True) is defect


def test_worst_of_several_defects_is_reported() -> None:
    broken = tone(0.1)
    broken[5] = np.inf
    assert find_defect(broken, RATE, TEXT, complete=False) is Defect.NOT_FINITE
    assert find_defect(tone(0.1, level=5e-4), RATE, TEXT, complete=False) is Defect.SILENT
    assert find_defect(np.empty(0, np.float32), RATE, TEXT, complete=True) is Defect.SILENT
    assert find_defect(tone(0.1), RATE, TEXT, complete=False) is Defect.ENDLESS


def test_defects_that_make_a_take_unusable_are_grave() -> None:
    assert [defect for defect in Defect if defect.grave] == [Defect.NOT_FINITE, Defect.SILENT, Defect.ENDLESS]


def test_one_loud_click_is_not_silence() -> None:
    samples = tone(4, level=0.0)
    samples[7] = -0.5
    assert find_defect(samples, RATE, TEXT, complete=True) is None


@pytest.mark.parametrize(
    "text",
    [
        "Oui.",
        "A.",
        "Non !",
        "Tapis !",
        "Pablo vient de se faire éliminer par Rusmir !",
        "le " * 80,
        "Brrr, tchin-tchin.",
    ],
)
def test_embedded_voice_always_fits_the_text(text: str) -> None:
    engine = EspeakEngine(Settings())
    engine.load()
    samples = speak(engine, text, voice="", params=SynthesisParams(), seed=0)
    assert find_defect(samples, engine.sample_rate, text, complete=True) is None
