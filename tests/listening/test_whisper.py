"""Real Whisper hears Pico, and its process steps back. Skipped without the packages of the group `listen`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks.recogniser import assemble, installed
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


def say(text: str) -> bytes:
    engine = make_engine(Settings())
    engine.load()
    return encode_wav(speak(engine, text, voice="", params=SynthesisParams(), seed=0), engine.sample_rate)


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
