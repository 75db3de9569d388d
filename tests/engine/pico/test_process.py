"""Pico's process: what it says, and that nothing it does hangs or ends Monica."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from monica.engine.pico.process import Installation, PicoProcess, find_installation
from monica.errors import SynthesisFailed
from tests.support.server import ROOT
from tests.support.wire import until

pytestmark = pytest.mark.skipif(find_installation() is None, reason="Pico has no package for this system")
HANGS = "É" * 300
"""A word that Pico computes on for ever."""


def make() -> PicoProcess:
    installation = find_installation()
    assert installation is not None
    return PicoProcess(installation, "fr-FR")


@pytest.fixture
def pico() -> PicoProcess:
    return make()


def test_equal_texts_give_equal_samples_whatever_was_said_before(pico: PicoProcess) -> None:
    """The library's noise goes on from text to text. Each text is said by a process forked for it."""
    first = pico.say("Rusmir gagne.")
    for other in ("Pablo perd.", "Les jeux sont faits, rien ne va plus."):
        pico.say(other)
        assert np.array_equal(pico.say("Rusmir gagne."), first)
    assert np.array_equal(make().say("Rusmir gagne."), first)
    assert 1 < len(first) / 16000 < 3


def test_threads_get_the_sound_of_their_own_text(pico: PicoProcess) -> None:
    texts = ["oui " * n + "." for n in range(1, 9)]
    alone = [pico.say(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(pico.say, texts * 3))
    assert all(np.array_equal(a, b) for a, b in zip(together, alone * 3, strict=True))


def test_a_hang_ends_and_the_next_text_is_said(pico: PicoProcess) -> None:
    known, before = pico.say("Oui."), pico.pid
    with pytest.raises(SynthesisFailed, match="it broke off"):
        pico.say(HANGS)
    assert np.array_equal(pico.say("Oui."), known)
    assert pico.pid != before


def test_a_killed_process_is_replaced_and_nothing_is_lost(pico: PicoProcess, caplog: pytest.LogCaptureFixture) -> None:
    known, before = pico.say("Oui."), pico.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert np.array_equal(pico.say("Oui."), known)
    assert pico.pid != before
    assert [r.message for r in caplog.records] == ["Pico's process is replaced: it was ended by signal 9"]
    assert not psutil.pid_exists(before), "a zombie was left"


def test_a_stopped_process_is_replaced(pico: PicoProcess, caplog: pytest.LogCaptureFixture) -> None:
    known, before = pico.say("Oui."), pico.pid
    assert before is not None
    pico.max_wait_s = 1.0
    os.kill(before, signal.SIGSTOP)
    assert np.array_equal(pico.say("Oui."), known)
    assert "it did not answer within" in caplog.text
    assert not psutil.pid_exists(before)


def test_an_error_of_pico_is_told_and_the_process_goes_on(pico: PicoProcess) -> None:
    pico.say("Oui.")
    before = pico.pid
    with pytest.raises(SynthesisFailed, match="error in processing unit"):
        pico.say("1" * 300)
    assert len(pico.say("Oui.")) > 5000
    assert pico.pid == before


def test_a_process_that_cannot_start_says_why_to_each_text() -> None:
    process = PicoProcess(Installation(ROOT / "README.md", ROOT), "fr-FR")
    for _ in range(2):
        with pytest.raises(SynthesisFailed, match=r"cannot say this text \(ImportError: .*README\.md"):
            process.say("Oui.")


def test_it_ends_with_its_owner() -> None:
    process = make()
    process.say("Oui.")
    pid = process.pid
    assert pid is not None
    del process
    gc.collect()
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("stopped", [False, True])
def test_it_ends_if_monica_is_killed(stopped: bool) -> None:
    """It reads the end of its input. If it is stopped, the kernel continues it for that."""
    script = (
        "from tests.engine.pico.test_process import make; import time;"
        "p = make(); p.say('Oui.'); print(p.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as monica:
        assert monica.stdout is not None
        pico = psutil.Process(int(monica.stdout.readline()))
        assert pico.is_running()
        if stopped:
            pico.suspend()
            until(lambda: pico.status() == psutil.STATUS_STOPPED)
        monica.kill()
    until(lambda: not pico.is_running() or pico.status() == psutil.STATUS_ZOMBIE)


def test_a_computing_process_ends_by_itself_if_monica_is_killed() -> None:
    """The kernel bounds its processor time: no text leaves a process behind that computes for ever."""
    script = (
        "from tests.engine.pico.test_process import HANGS, make; import threading, time;"
        "p = make(); p.say('Oui.'); print(p.pid, flush=True); threading.Timer(0.3, lambda: print(flush=True)).start();"
        "p.say(HANGS)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as monica:
        assert monica.stdout is not None
        group = int(monica.stdout.readline())
        monica.stdout.readline()
        members = [each for each in psutil.process_iter() if os.getpgid(each.pid) == group]
        assert len(members) == 2, "the process, and the one forked from it for the text"
        monica.kill()
    until(lambda: all(not each.is_running() or each.status() == psutil.STATUS_ZOMBIE for each in members))


def test_it_is_small_and_loads_nothing_into_monica() -> None:
    script = (
        "import psutil; from tests.engine.pico.test_process import make; p = make(); p.say('Oui.');"
        "print(psutil.Process(p.pid).memory_info().rss // 2**20,"
        " any('nanotts' in each.path for each in psutil.Process().memory_maps()))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    megabytes, loaded = done.stdout.split()
    assert int(megabytes) < 16
    assert loaded == "False"
