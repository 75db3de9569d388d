"""espeak-ng's process: what it leaves behind, and that nothing that becomes of it ends or silences Monica."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.espeak import EspeakEngine
from monica.errors import ConfigError, ModelUnavailable, SynthesisFailed
from tests.support.server import ROOT
from tests.support.wire import until

FOREIGN = "Le week-end de Rusmir."
"""Its second word is English, whose dictionary the library never frees: 180 KiB for each time it is loaded again."""
LONG = FOREIGN * 300
"""Takes half a second."""


@pytest.fixture
def engine() -> EspeakEngine:
    engine = EspeakEngine(Settings())
    engine.load()
    return engine


def say(engine: EspeakEngine, text: str) -> NDArray[np.float32]:
    return speak(engine, text, voice="monica", params=SynthesisParams(), seed=0)


def process_of(engine: EspeakEngine) -> psutil.Process:
    assert engine.pid is not None
    return psutil.Process(engine.pid)


def speaker_of(engine: EspeakEngine) -> psutil.Process | None:
    """Return the process that was forked for a text; None if no text is being said."""
    with contextlib.suppress(psutil.NoSuchProcess, AssertionError):
        return next((each for each in process_of(engine).children() if each.status() != psutil.STATUS_ZOMBIE), None)
    return None


def kill_speakers(engine: EspeakEngine, count: int) -> None:
    """Kill the next `count` processes that speak, each as soon as it is there."""
    killed: set[int] = set()

    def kill_next() -> bool:
        speaker = speaker_of(engine)
        if speaker is not None and speaker.pid not in killed:
            speaker.kill()
            killed.add(speaker.pid)
        return len(killed) == count

    until(kill_next)


def test_two_hundred_texts_with_a_foreign_word_leave_nothing_behind(engine: EspeakEngine) -> None:
    first, monica, process = say(engine, FOREIGN), psutil.Process(), process_of(engine)
    for _ in range(20):
        say(engine, FOREIGN)
    before = [(each.memory_info().rss, each.num_fds()) for each in (monica, process)]
    for _ in range(200):
        say(engine, FOREIGN)
    after = [(each.memory_info().rss, each.num_fds()) for each in (monica, process)]
    assert engine.pid == process.pid
    for (memory, handles), (memory_before, handles_before) in zip(after, before, strict=True):
        assert memory - memory_before < 2 * 2**20
        assert handles <= handles_before  # fewer, if those of an earlier test are closed meanwhile
    assert np.array_equal(say(engine, FOREIGN), first)


def test_killed_between_two_texts_it_is_replaced_and_sounds_the_same(
    engine: EspeakEngine, caplog: pytest.LogCaptureFixture
) -> None:
    known, before = say(engine, FOREIGN), process_of(engine)
    before.kill()
    assert np.array_equal(say(engine, FOREIGN), known)
    assert engine.pid != before.pid
    assert not psutil.pid_exists(before.pid), "a zombie was left"
    assert [r.message for r in caplog.records] == ["espeak-ng's process is replaced: it was ended by signal 9"]


def test_killed_during_a_text_another_one_says_it(engine: EspeakEngine) -> None:
    known, before = say(engine, LONG), engine.pid
    until(lambda: speaker_of(engine) is None)  # it ends just after its answer
    with ThreadPoolExecutor(1) as pool:
        sound = pool.submit(say, engine, LONG)
        kill_speakers(engine, 1)
    assert np.array_equal(sound.result(), known)
    assert engine.pid != before


def test_killed_twice_during_a_text_it_fails_and_the_next_one_is_said(engine: EspeakEngine) -> None:
    known = say(engine, FOREIGN)
    until(lambda: speaker_of(engine) is None)
    with ThreadPoolExecutor(1) as pool:
        sound = pool.submit(say, engine, LONG)
        kill_speakers(engine, 2)
    with pytest.raises(SynthesisFailed, match=r"^espeak-ng cannot say this text: it broke off\.$"):
        sound.result()
    assert np.array_equal(say(engine, FOREIGN), known)


@pytest.mark.parametrize("stopped", [False, True])
def test_it_ends_if_monica_is_killed(stopped: bool) -> None:
    script = (
        "from monica.config import Settings; from monica.engine.espeak import EspeakEngine; import time;"
        "e = EspeakEngine(Settings()); e.load(); print(e.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as monica:
        assert monica.stdout is not None
        process = psutil.Process(int(monica.stdout.readline()))
        if stopped:
            os.kill(process.pid, signal.SIGSTOP)
            until(lambda: process.status() == psutil.STATUS_STOPPED)
        monica.kill()
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def test_it_is_small_and_nothing_is_loaded_into_monica() -> None:
    script = (
        "import psutil; from monica.config import Settings; from monica.engine.espeak import EspeakEngine;"
        "e = EspeakEngine(Settings()); e.load(); e._say('Oui.'); each = psutil.Process();"
        "print(psutil.Process(e.pid).memory_info().rss // 2**20, each.memory_info().rss // 2**20,"
        " any('libespeak' in part.path for part in each.memory_maps()))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    process, monica, loaded = done.stdout.split()
    assert int(process) < 20
    assert int(monica) < 150, "far less than with torch"
    assert loaded == "False"


def test_a_language_without_a_voice_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"cannot speak xx here \(LookupError: it has no voice xx\+m1\)"):
        EspeakEngine(Settings(language="xx")).load()


def test_a_library_without_its_data_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("espeakng_loader.get_data_path", lambda: "/nowhere")
    with pytest.raises(ConfigError, match="its data is missing"):
        EspeakEngine(Settings()).load()


def test_a_process_that_dies_at_its_start_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    engine = EspeakEngine(Settings())
    with pytest.raises(ModelUnavailable, match="it broke off"):
        engine.load()
