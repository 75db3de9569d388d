"""A real Monica without a GPU and without any setting: she speaks with Pico, whatever happens to its process."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests
import soundfile

from monica.engine.pico.process import PART, find_installation
from tests.support.server import Server
from tests.support.wire import until

pytestmark = pytest.mark.skipif(find_installation() is None, reason="Pico has no package for this system")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("pico")
    settings = {"MONICA_DEVICE": "cpu", "MONICA_CACHE_DIR": str(folder / "cache"), "MAX_TEXT_LENGTH": "5000"}
    with Server(folder, settings) as server:
        yield server.wait_ready()


def pico_of(server: Server) -> psutil.Process:
    """Return Pico's process. It is the only child of the only worker."""
    (worker,) = psutil.Process(server.process.pid).children()
    (pico,) = worker.children()
    assert str(PART) in pico.cmdline()
    return pico


def test_it_speaks_and_says_which_voice_it_is(server: Server) -> None:
    answer = server.say("Bonjour à tous.")
    assert (answer.status_code, answer.headers["X-Monica-Engine"]) == (200, "pico")
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert rate == 16000
    assert 0.6 < len(samples) / rate < 2
    assert "engine: pico, an embedded voice; it is not Monica's cloned voice (auto: " in server.log()
    health = requests.get(f"{server.url}/health", timeout=10).json()
    assert (health["engine"], health["model"]) == ("pico", "SVOX Pico fr-FR")


def test_both_processes_and_picos_are_small(server: Server) -> None:
    """Proportional set size: what the worker shares with the master it was forked from counts once."""
    server.say("Bonjour.")
    master = psutil.Process(server.process.pid)
    # Each text has a process of its own, which ends just after its answer.
    until(lambda: len(master.children(recursive=True)) == 2)
    family = [master, *master.children(recursive=True)]
    assert sum(each.memory_full_info().pss for each in family) < 110 * 2**20


def test_a_killed_process_costs_no_request(server: Server) -> None:
    server.say("Avant.")
    before = pico_of(server)
    before.kill()
    assert server.say("Après.").status_code == 200
    assert pico_of(server).pid != before.pid
    assert "Pico's process is replaced: it was ended by signal 9" in server.log()


def test_a_word_of_three_hundred_letters_is_said(server: Server) -> None:
    before = pico_of(server).pid
    answer = server.say("É" * 300 + ".")
    assert answer.status_code == 200
    assert pico_of(server).pid == before


def test_a_text_that_pico_cannot_say_is_empty(server: Server) -> None:
    answer = server.say("你好")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "text_empty")


def test_four_requests_at_once_and_five_thousand_characters(server: Server) -> None:
    """Each sentence of a long text is a take of its own, and other requests go in between."""
    texts = [
        "Pablo vient de se faire éliminer par Rusmir ! " * 108,
        *(f"Table {n}, à vous de jouer." for n in range(3)),
    ]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(server.say, texts))
    assert [answer.status_code for answer in answers] == [200] * 4
    sounds = [soundfile.read(io.BytesIO(answer.content)) for answer in answers]
    alone = soundfile.read(io.BytesIO(server.say(texts[1], headers={"Cache-Control": "no-cache"}).content))
    assert len(sounds[0][0]) / sounds[0][1] > 150
    assert (sounds[1][0] == alone[0]).all(), "equal texts give equal samples"


def test_a_phrase_is_heard_while_it_is_made(server: Server) -> None:
    text = "Pablo vient de se faire éliminer par Rusmir. Bravo à tous les deux ! La pause commence dans cinq minutes."
    with requests.post(f"{server.url}/blabla?stream=1", json={"text": text}, stream=True, timeout=30) as answer:
        assert answer.status_code == 200
        chunks = [chunk for chunk in answer.iter_content(None) if chunk]
    assert len(chunks) > 1


def test_pico_ends_with_a_worker_that_is_killed(server: Server) -> None:
    pico = pico_of(server)
    (worker,) = psutil.Process(server.process.pid).children()
    os.kill(worker.pid, signal.SIGKILL)
    until(lambda: not pico.is_running())
    server.wait_ready()
    until(lambda: server.say("Me revoilà.").status_code == 200)


def test_pico_ends_with_monica(tmp_path: Path) -> None:
    with Server(tmp_path, {"MONICA_DEVICE": "cpu", "MONICA_CACHE_DIR": str(tmp_path / "cache")}) as server:
        server.wait_ready()
        pico = pico_of(server)
        server.terminate()
        assert server.wait_exit() == 0
    until(lambda: not pico.is_running())
    assert "Traceback" not in server.log()
