"""Real Whisper hears Pico, and its process steps back. Skipped without the packages of the group `listen`."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks.recogniser import assemble, installed
from monica.audio.level import Sound
from monica.audio.silence import BEFORE_S, trim_silence
from monica.audio.wav import encode_wav
from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.pico.process import find_installation
from monica.engine.pico.spec import make_engine
from monica.listening.child import NICENESS
from monica.listening.listener import Listener, ListeningFailed
from monica.listening.model import FILES
from tests.support import system

if not installed() and not system.REQUIRED:
    pytest.skip("the group `listen` is not installed", allow_module_level=True)


def speech(text: str) -> tuple[Sound, int]:
    """Return what Pico makes of a text, and its rate."""
    engine = make_engine(Settings())
    engine.load()
    return speak(engine, text, voice="", params=SynthesisParams(), seed=0), engine.sample_rate


def say(text: str) -> bytes:
    return encode_wav(*speech(text))


@pytest.mark.skipif(find_installation() is None, reason="Pico has no package for this system")
def test_a_real_recogniser_hears_what_was_said_and_what_was_not(tmp_path: Path) -> None:
    """In this process: in its own it has so low a priority that the test would take a minute on a busy machine."""
    from monica.listening.ear import Ear

    ear = Ear(assemble(tmp_path), "fr", 1, None)
    text = "Merci de rejoindre la table 7."
    heard = ear.hear(say("Merci de rejoindre la table sept."), text)
    assert (heard.expected, heard.told_comparison.differences) == ("Merci de rejoindre la table sept.", ())
    wrong = ear.hear(say("Merci de rejoindre la table douze."), text)
    assert [(each.said, each.kind) for each in wrong.told_comparison.differences] == [("sept", "number")]


@pytest.mark.skipif(find_installation() is None, reason="Pico has no package for this system")
def test_a_real_recogniser_says_when_each_word_is_said(tmp_path: Path) -> None:
    """The silences are known: half a second before the first sentence, 0.6 s between the two, a second at the end."""
    from monica.listening.ear import Ear

    first, rate = speech("Merci de rejoindre la table sept.")
    second, _ = speech("Rusmir est éliminé !")
    first, second = trim_silence(first, rate), trim_silence(second, rate)
    parts = [np.zeros(rate // 2, np.float32), first, np.zeros(round(0.6 * rate), np.float32), second]
    wav = encode_wav(np.concatenate([*parts, np.zeros(rate, np.float32)]), rate)
    ear = Ear(assemble(tmp_path), "fr", 1, None)
    words = ear.hear(wav, "Merci de rejoindre la table 7. Rusmir est éliminé !").words
    said = ["Merci", "de", "rejoindre", "la", "table", "sept.", "Rusmir", "est", "éliminé!"]
    assert [word.text for word in words] == said
    assert all(word.start_s < word.end_s for word in words)
    assert all(before.end_s <= after.start_s for before, after in pairwise(words))
    pause_s = 0.5 + len(first) / rate
    again_s = pause_s + 0.6
    assert words[0].start_s == pytest.approx(0.5 + BEFORE_S, abs=0.05)
    assert words[5].end_s == pytest.approx(pause_s, abs=0.2)
    assert words[6].start_s == pytest.approx(again_s + BEFORE_S, abs=0.1)
    assert words[8].end_s == pytest.approx(again_s + len(second) / rate, abs=0.2)
    # Without a pause, it is known to about a tenth of a second: "la" begins in the middle of the sentence.
    assert words[3].start_s == pytest.approx(1.42, abs=0.15)
    # What has no times is given none: ten milliseconds, and a text that is too long for the decoder.
    assert ear.hear(encode_wav(first[: rate // 100], rate), "Merci.").words == ()
    assert ear.hear(wav, "Merci. " * 300).words == ()


@pytest.mark.timeout(600)  # on a busy machine, its priority leaves it little time to import what it needs
def test_a_broken_model_is_told_by_a_process_that_steps_back(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes(b"{}")
    listener = Listener(replace(Settings(), listen_model=str(tmp_path)))
    with pytest.raises(ListeningFailed) as told:
        listener.hear(b"", "Bonjour.")
    assert "\n" not in told.value.message
    process = psutil.Process(listener.pid)
    assert process.nice() >= NICENESS
    listener.close()
    assert not process.is_running()
