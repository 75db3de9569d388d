"""monica speaker: a player without a browser, against a real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support.server import Server, clean_environment
from tests.support.wire import until


@contextmanager
def speaker(server: Server, player: str, name: str = "essai") -> Iterator[None]:
    command = [
        str(Path(sys.executable).parent / "monica"),
        "speaker",
        "--url",
        server.url,
        "--player",
        player,
        "--name",
        name,
    ]
    with subprocess.Popen(command, env=clean_environment(**server.cache_setting)) as process:
        try:
            until(lambda: any(each["active"] for each in state(server)["speakers"]))
            yield
        finally:
            process.terminate()
            process.wait(10)
    until(lambda: state(server)["speakers"] == [])


def state(server: Server) -> Any:
    return requests.get(f"{server.url}/v1/announcements", headers=server.token(), timeout=30).json()


def announce(server: Server, text: str) -> str:
    answer = requests.post(f"{server.url}/v1/announcements", json={"text": text}, headers=server.token(), timeout=30)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ended(server: Server, cue: str) -> dict[str, Any] | None:
    return next((each for each in state(server)["history"] if each["id"] == cue), None)


def test_announcements_are_played_one_after_the_other(server: Server, tmp_path: Path) -> None:
    played = tmp_path / "played"
    played.mkdir()
    player = tmp_path / "player"
    player.write_text(f'#!/bin/sh\ncp "$1" {played}/$(ls {played} | wc -l).wav\n')
    player.chmod(0o755)
    with speaker(server, str(player)):
        cues = [announce(server, f"Annonce numéro {n}.") for n in range(3)]
        until(lambda: all(ended(server, cue) for cue in cues))
    found = [ended(server, cue) for cue in cues]
    assert [cue and cue["state"] for cue in found] == ["done"] * 3
    assert len(list(played.iterdir())) == 3
    assert all(file.read_bytes()[:4] == b"RIFF" for file in played.iterdir())


def test_a_player_that_fails_is_told(server: Server) -> None:
    with speaker(server, "false"):
        cue = announce(server, "Personne ne l'entendra.")
        until(lambda: ended(server, cue) is not None)
    found = ended(server, cue)
    assert found is not None
    assert (found["state"], found["interruptions"]) == ("failed", 3)
    assert "false ended with 1" in found["reason"]


def test_what_is_stopped_falls_silent(server: Server, tmp_path: Path) -> None:
    player = tmp_path / "player"
    ended_file = tmp_path / "ended"
    player.write_text(f"#!/bin/sh\ntrap 'touch {ended_file}; exit 0' TERM\nsleep 60 & wait\n")
    player.chmod(0o755)
    with speaker(server, str(player)):
        announce(server, "Trop longue.")
        until(lambda: state(server)["on_air"] is not None)
        until(lambda: state(server)["speaker"] is not None)
        requests.post(f"{server.url}/v1/antenna/skip", headers=server.token(), timeout=30)
        until(ended_file.exists)
    assert state(server)["on_air"] is None
