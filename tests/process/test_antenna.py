"""The antenna in a real server: listeners that hold no thread, and a queue that survives whatever ends the process."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from monica.api.events import MAX_LISTENERS
from tests.support.server import Server
from tests.support.wire import until

KILLS = 3
CUES = 12


class Room:
    """A speaker: it follows the events, and plays what is on air for as long as it likes."""

    def __init__(self, server: Server, name: str = "salle") -> None:
        self.server = server
        self.name = name
        self.response = requests.get(
            f"{server.url}/v1/events?speaker={name}", headers=server.token(), stream=True, timeout=60
        )
        assert self.response.status_code == 200
        self.report("ready")

    def report(self, event: str, **fields: object) -> None:
        requests.post(
            f"{self.server.url}/v1/speakers/{self.name}/reports",
            json={"event": event} | fields,
            headers=self.server.token(),
            timeout=30,
        ).raise_for_status()

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        kind = ""
        for line in self.response.iter_lines(chunk_size=1):
            if line.startswith(b"event: "):
                kind = line[7:].decode()
            elif line.startswith(b"data: "):
                yield kind, json.loads(line[6:])

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()


def worker_of(server: Server) -> int:
    """Return the process id of the worker; 0 for the moment in which there is none."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return int(children[0]) if children else 0


def threads_of(server: Server) -> int:
    return len(list(Path(f"/proc/{worker_of(server)}/task").iterdir()))


def post(server: Server, path: str, **fields: object) -> Any:
    answer = requests.post(f"{server.url}{path}", json=fields, headers=server.token(), timeout=30)
    answer.raise_for_status()
    return answer.json()


def state(server: Server) -> dict[str, Any]:
    answer = requests.get(f"{server.url}/v1/announcements?history=500", headers=server.token(), timeout=30)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def antenna_server(tmp_path: Path) -> Iterator[Server]:
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache"), "MONICA_THREADS": "4"}
    with Server(tmp_path, settings) as server:
        yield server.wait_ready()


def test_many_listeners_take_no_thread_and_are_bounded(antenna_server: Server) -> None:
    server = antenna_server
    request = f"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {server.token()['Authorization']}\r\n\r\n"
    with ExitStack() as stack:
        listeners = []
        for _ in range(MAX_LISTENERS):
            listener = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            listener.sendall(request.encode())
            assert b"200 OK" in listener.recv(1000)
            listeners.append(listener)
        assert threads_of(server) < 40
        answer = requests.get(f"{server.url}/v1/events", headers=server.token(), timeout=30)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
        # Everyone is heard at once, and every listener hears of it.
        assert server.say("Toujours là.").status_code == 200
        post(server, "/v1/announcements", text="Pour toutes.")
        for listener in listeners:
            heard = b""
            while b"Pour toutes." not in heard:
                heard = heard[-200:] + listener.recv(65536)
    # Those who have gone make room for others.
    until(lambda: requests.get(f"{server.url}/v1/events", headers=server.token(), stream=True, timeout=30).ok)


def test_a_queue_survives_every_kill(antenna_server: Server) -> None:
    """Nothing is lost, and what may have been said twice says so."""
    server = antenna_server
    with Room(server):  # it never says that it plays anything
        asked = [post(server, "/v1/announcements", text=f"Annonce numéro {n}.")["id"] for n in range(CUES)]
        for _ in range(KILLS):
            time.sleep(0.3)
            killed = worker_of(server)
            os.kill(killed, signal.SIGKILL)
            until(lambda killed=killed: worker_of(server) not in (0, killed))  # type: ignore[misc]
            server.wait_ready()
            found = state(server)
            known = found["queue"] + found["history"] + ([found["on_air"]] if found["on_air"] else [])
            assert sorted(cue["id"] for cue in known) == sorted(asked)
            assert all(cue["reason"] for cue in known if cue["interruptions"])
    # A speaker that does what it says hears all the rest, each once, in their order. On a busy machine some may have
    # failed by then, because the room never heard them.
    heard = list[str]()
    with Room(server, "autre") as room:
        left = set[str]()
        for kind, data in room.events():
            if kind == "state":
                left = {cue["id"] for cue in (*data["queue"], data["on_air"]) if cue}
            elif kind == "announcement" and data["state"] in ("done", "failed"):
                left.discard(data["id"])
            on_air = data["on_air"] if kind in ("state", "antenna") else None
            if on_air is not None and data["speaker"] == "autre" and on_air["id"] not in heard:
                heard.append(on_air["id"])
                room.report("playing", announcement=on_air["id"])
                room.report("ended", announcement=on_air["id"])
            if not left:
                break
    assert len(heard) == len(set(heard))
    assert len(heard) >= CUES / 2
    until(lambda: state(server)["queue"] == [])
    ended = {cue["id"]: cue for cue in state(server)["history"]}
    assert set(ended) == set(asked)
    assert all(cue["reason"] and cue["interruptions"] for cue in ended.values() if cue["state"] != "done")
    assert {key for key, cue in ended.items() if cue["state"] == "done"} <= set(heard)


def test_a_clock_survives_a_kill(antenna_server: Server) -> None:
    """It goes on to the second, and what was said of its level is not said again."""
    server = antenna_server
    headers = server.token()
    book = """
        rosters.levels = [{ small = 10, minutes = 20 }, { small = 20, minutes = 20 }]
        phrases = [{ text = "Les blinds sont à {level.small}.", level = "levels" }]
    """
    answer = requests.put(f"{server.url}/v1/clock", json={"book": book}, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text

    def elapsed() -> float:
        shown = requests.get(f"{server.url}/v1/clock", headers=headers, timeout=30).json()
        assert (shown["state"], shown["level"]) == ("running", 1)
        return float(shown["elapsed_s"])

    post(server, "/v1/clock/start")
    post(server, "/v1/clock/shift", seconds=600)
    asked = time.monotonic()
    before = elapsed()
    answered = time.monotonic()
    killed = worker_of(server)
    os.kill(killed, signal.SIGKILL)
    until(lambda: worker_of(server) not in (0, killed))
    server.wait_ready()
    until(lambda: requests.get(f"{server.url}/v1/clock", headers=headers, timeout=30).json()["state"] == "running")
    least = time.monotonic() - answered
    after = elapsed()
    assert before + least <= after <= before + time.monotonic() - asked
    known = state(server)
    said = [cue["text"] for cue in (*known["queue"], *known["history"]) if cue["id"].startswith("clock-")]
    assert said.count("Les blinds sont à 10.") == 1
