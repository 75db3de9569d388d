"""`monica warm` in a process of its own, against a real server."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.support.command import monica
from tests.support.faulty import Faults
from tests.support.server import ROOT, Server, clean_environment, free_port
from tests.support.wire import until

NAMES = ("Ana", "Bo", "Chloé", "Denis", "Elsa", "Farid", "Gina", "Hugo")
KEY = "une-clef-de-test"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "tournoi.toml"
    path.write_text(
        f'[rosters]\nplayers = {json.dumps(NAMES)}\n[[phrases]]\ntext = "{{a}} élimine {{b}}."\n'
        'a = "players"\nb = "players"\n'
    )
    return path


@pytest.fixture
def espeak(tmp_path: Path) -> dict[str, str]:
    return {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}


def run(book: Path, server: Server, *options: str, **settings: str) -> tuple[int, str, str]:
    done = monica("warm", str(book), "--url", server.url, *options, **(server.cache_setting | settings))
    assert b"Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def start(book: Path, server: Server) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from monica.cli import main; main()", "warm", str(book), "--url", server.url],
        cwd=ROOT,
        env=clean_environment(**server.cache_setting),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def jobs(server: Server) -> list[dict[str, Any]]:
    found = requests.get(f"{server.url}/v1/jobs", headers=server.token(), timeout=60).json()["jobs"]
    assert isinstance(found, list)
    return found


def test_a_book_is_made_once_and_is_cached_the_second_time(book: Path, tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak) as server:
        server.wait_ready()
        code, out, err = run(book, server)
        assert re.fullmatch(
            r"tournoi.toml: done after \d+:\d\d. 56 phrases: 0 were cached, 56 made, 0 failed, 0 left.\n", out
        )
        assert (code, "0 failed" in err) == (0, True)
        code, out, _ = run(book, server)
        assert (code, "56 were cached, 0 made, 0 failed, 0 left." in out) == (0, True)
        code, out, _ = run(book, server, "--dry-run")
        assert re.fullmatch(
            r"tournoi.toml: 56 phrases, 56 of them cached already\nsound: about \d:\d\d\ndisk: about \d+ MB\n"
            r"time to make what is missing: about 0:00\n",
            out,
        )
        assert (code, len(jobs(server))) == (0, 2)


def test_a_dry_run_makes_nothing_and_guesses_at_first(book: Path, tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak) as server:
        code, out, _ = run(book, server.wait_ready(), "--dry-run")
        assert (code, jobs(server)) == (0, [])
    assert re.fullmatch(
        r"tournoi.toml: 56 phrases, 0 of them cached already\nsound: about \d:\d\d\ndisk: about [1-9]\d* MB\n"
        r"time to make what is missing: about \d:\d\d\n"
        r"These are first guesses, from the length of the texts: too little has been made here yet.\n",
        out,
    )


def test_a_dry_run_warns_of_a_cache_that_is_too_small(book: Path, tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak | {"MONICA_CACHE_MB": "1"}) as server:
        server.wait_ready()
        code, out, _ = run(book, server)
        assert (code, "failed after" in out) == (1, True)
        assert "The cache is full: MONICA_CACHE_MB=1 is too small for 56 phrases." in out
        assert "warning" not in out
        code, out, _ = run(book, server, "--dry-run")
        assert (code, out.splitlines()[-1]) == (
            1,
            "The server's cache is too small for them: set its MONICA_CACHE_MB higher.",
        )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('[[phrases]]\ntext = "{a} !"\na = "who"\n', "tournoi.toml, line 3, phrases[0].a: there is no roster 'who'"),
        ("[[phrases]\n", "tournoi.toml, line 1"),
        (None, "tournoi.toml: No such file or directory"),
        (b"\xff\xfe", "tournoi.toml, line 1: not UTF-8 text"),
    ],
)
def test_a_wrong_book_is_refused_before_anything_is_sent(book: Path, content: str | bytes | None, says: str) -> None:
    if content is None:
        book.unlink()
    else:
        book.write_bytes(content.encode() if isinstance(content, str) else content)
    done = monica("warm", str(book), "--url", f"http://127.0.0.1:{free_port()}")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"monica: {says}")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("url", ["monica", "ftp://monica", "http://monica:port", "http://"])
def test_an_invalid_address(book: Path, url: str) -> None:
    done = monica("warm", str(book), "--url", url)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"monica: ")


def test_a_server_that_is_down(book: Path) -> None:
    done = monica("warm", str(book), PORT=str(free_port()))
    assert (done.returncode, done.stdout) == (1, b"")
    assert re.fullmatch(rb"monica: no Monica answers at http://127.0.0.1:\d+ \(Connection refused\)\n", done.stderr)


def test_failures_are_listed(book: Path, tmp_path: Path, espeak: dict[str, str]) -> None:
    faults = Faults(tmp_path / "faults")
    with Server(tmp_path, espeak | faults.settings) as server:
        server.wait_ready()
        faults.switch("silent", on=True)
        code, out, _ = run(book, server)
    assert (code, "56 failed" in out) == (1, True)
    assert "  Ana élimine Bo.  synthesis_failed: The sound of this sentence" in out
    assert out.endswith("  and 36 more\n")


def test_the_api_key_is_sent(book: Path, tmp_path: Path, espeak: dict[str, str]) -> None:
    (tmp_path / "key").write_text(KEY)
    with Server(tmp_path, espeak | {"MONICA_API_KEY": KEY}) as server:
        server.wait_ready()
        code, out, err = run(book, server)
        assert (code, out) == (2, "")
        assert err.startswith("monica: the server refused: This needs the API key: ")
        assert err.endswith("Bearer MONICA_API_KEY, or X-API-Key.\n")
        assert err.count("\n") == 1
        assert run(book, server, MONICA_API_KEY="une-autre")[0] == 2
        assert run(book, server, MONICA_API_KEY_FILE=str(tmp_path / "key"))[0] == 0
        assert run(book, server, "--dry-run", MONICA_API_KEY=KEY)[0] == 0


def test_control_c_stops_the_job(book: Path, tmp_path: Path, espeak: dict[str, str]) -> None:
    faults = Faults(tmp_path / "faults")
    with Server(tmp_path, espeak | faults.settings) as server:
        server.wait_ready()
        faults.switch("held", on=True)
        with start(book, server) as process:
            until(lambda: [job["state"] for job in jobs(server)] == ["running"], 60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert re.fullmatch(r"tournoi.toml: stopped after .*: 0 were cached, 0 made, 0 failed, 56 left\.\n", out)
        assert "Traceback" not in err
        assert [job["state"] for job in jobs(server)] == ["stopped"]
        faults.switch("held", on=False)
        assert run(book, server)[0] == 0


def test_control_c_before_the_server_has_answered_stops_the_job_too(
    book: Path, tmp_path: Path, espeak: dict[str, str]
) -> None:
    faults = Faults(tmp_path / "faults")
    with Server(tmp_path, espeak | faults.settings) as server:
        server.wait_ready()
        faults.switch("held", on=True)
        (worker,) = psutil.Process(server.process.pid).children()
        worker.suspend()
        with start(book, server) as process:
            client = psutil.Process(process.pid)
            until(lambda: any(each.status == psutil.CONN_ESTABLISHED for each in client.net_connections()), 60)
            process.send_signal(signal.SIGINT)
            worker.resume()
            out, _ = process.communicate(timeout=60)
        assert (process.returncode, "56 left" in out) == (130, True)
        assert [job["state"] for job in jobs(server)] == ["stopped"]


def test_a_job_that_another_client_stops(book: Path, tmp_path: Path, espeak: dict[str, str]) -> None:
    faults = Faults(tmp_path / "faults")
    with Server(tmp_path, espeak | faults.settings) as server:
        server.wait_ready()
        faults.switch("held", on=True)
        with start(book, server) as process:
            until(lambda: [job["state"] for job in jobs(server)] == ["running"], 60)
            requests.delete(f"{server.url}/v1/jobs/{jobs(server)[0]['id']}", headers=server.token(), timeout=60)
            out, _ = process.communicate(timeout=60)
        assert (process.returncode, "stopped after" in out) == (1, True)


def test_a_server_that_is_killed_and_comes_back(
    book: Path, tmp_path: Path, espeak: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(tmp_path / "faults")
    with Server(tmp_path, espeak | faults.settings) as server:
        server.wait_ready()
        faults.switch("held", on=True)
        process = start(book, server)
        until(lambda: [job["state"] for job in jobs(server)] == ["running"], 60)
        master = psutil.Process(server.process.pid)
        for each in [*master.children(), master]:
            each.kill()
        server.process.wait()
        assert process.stderr is not None
        seen = ""
        while "no Monica answers at" not in seen:
            seen = process.stderr.readline()
            assert seen, "the command gave up"
        assert seen.endswith("; trying again\n")
    faults.switch("held", on=False)
    monkeypatch.setattr("tests.support.server.free_port", lambda: server.port)
    with Server(tmp_path, espeak | faults.settings) as again:
        again.wait_ready()
        out, err = process.communicate(timeout=120)
        assert (process.returncode, "Monica answers again\n" in err) == (0, True)
        assert "56 phrases: 0 were cached, 56 made, 0 failed, 0 left." in out


def test_on_a_terminal_there_is_a_bar(book: Path, tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak) as server:
        server.wait_ready()
        master, terminal = pty.openpty()
        command = [sys.executable, "-c", "from monica.cli import main; main()", "warm", str(book), "--url", server.url]
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean_environment(COLUMNS="100", **server.cache_setting),
            stdout=subprocess.PIPE,
            stderr=terminal,
        ) as process:
            os.close(terminal)
            seen = b""
            try:
                while chunk := os.read(master, 4096):
                    seen += chunk
            except OSError:  # the command has closed the terminal
                pass
            os.close(master)
        assert process.returncode == 0
    lines = [line for line in seen.decode().split("\r\x1b[K") if line]
    assert re.match(r"\[-{24}\] 0/56: 0 cached, 0 made, 0 failed", lines[0])
    assert re.match(r"\[#{24}\] 56/56: 0 cached, 56 made, 0 failed, \d+\.\d/s$", lines[-1].rstrip())
    assert all(len(line.rstrip()) <= 99 for line in lines)
