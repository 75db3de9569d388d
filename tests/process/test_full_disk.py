"""A disk that is full, at the start or later: Monica speaks, says that she keeps nothing, and keeps again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from monica.this_machine import read_token
from tests.support.command import monica
from tests.support.server import Server, run_to_failure
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.wire import metric, until

TEXT = "Le disque est plein."
REASON = "Sounds are made but not kept: the cache cannot be written ("


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def settings_of(folder: Path) -> dict[str, str]:
    return {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(folder), "MONICA_CACHE_MB": "4"}


def health(server: Server) -> dict[str, Any]:
    answer = requests.get(f"{server.url}/health", timeout=20)
    assert answer.status_code == 200
    found = answer.json()
    assert isinstance(found, dict)
    return found


def assert_degraded(server: Server) -> None:
    state = health(server)
    assert state["status"] == "degraded"
    assert state["reason"].startswith(REASON)
    assert metric(server, "monica_status", status="degraded") == 1
    assert metric(server, "monica_cache_unwritable", cache="takes") == 1


def ask_everything(server: Server, folder: Path) -> None:
    """Use all that reads or writes the cache. Nothing may be an internal error, and all sounds are made."""
    for text, query, accept in (
        (TEXT, "", "audio/wav"),
        (TEXT, "", "audio/mpeg"),
        ("Une autre phrase.", "?stream=1", "audio/wav"),
        (" ".join(["Une longue phrase, sans rien garder."] * 9), "", "audio/ogg"),
    ):
        said = requests.post(f"{server.url}/blabla{query}", json={"text": text}, headers={"Accept": accept}, timeout=60)
        assert (said.status_code, len(said.content) > 1000) == (200, True)
    token = {"Authorization": f"Bearer {read_token(folder)}"}
    for method, path in (
        ("GET", "/v1/phrases"),
        ("GET", "/v1/phrases/stats"),
        ("GET", "/v1/phrases/aa/audio"),
        ("PUT", "/v1/phrases/aa/pin"),
        ("DELETE", "/v1/phrases/aa"),
        ("POST", "/v1/phrases/aa/remake"),
        ("GET", "/v1/phrases/bundle"),
        ("POST", "/v1/phrases/bundle"),
        ("POST", "/v1/phrases/warm"),
        ("GET", "/v1/jobs"),
        ("GET", "/v1/audio/voices"),
        ("GET", "/metrics"),
    ):
        answer = requests.request(method, server.url + path, json={"phrases": [TEXT]}, headers=token, timeout=60)
        assert answer.status_code in (200, 202, 403, 404, 422, 503, 507), (method, path, answer.text)
    assert "Traceback" not in server.log()


def assert_keeps_again(server: Server, folder: Path) -> None:
    until(lambda: health(server)["status"] == "ok", 20)
    assert metric(server, "monica_cache_unwritable", cache="takes") == 0
    for text in ("De la place.", TEXT):
        server.say(text)
        assert server.say(text).headers["X-Monica-Cache"] == "hit"
    assert b"0 corrupt." in monica("cache", "verify", MONICA_CACHE_DIR=str(folder)).stdout


@pytest.mark.parametrize("before", ["never", "used", "killed"])
def test_full_disk_at_the_start(tmp_path: Path, disk: SmallDisk, before: str) -> None:
    """Whether the cache has to be made, was left in order, or was left by a killed Monica."""
    folder = disk.folder / "cache"
    if before != "never":
        with Server(tmp_path, settings_of(folder)) as server:
            server.wait_ready().say("Avant.")
            if before == "killed":
                for child in children(server):
                    child.kill()
                server.process.kill()
    disk.fill()
    with Server(tmp_path, settings_of(folder)) as server:
        server.wait_ready()
        if before != "killed":  # its log and shared memory are still there, so that the database may be opened
            assert_degraded(server)
        ask_everything(server, folder)
        assert_degraded(server)
        disk.free()
        assert_keeps_again(server, folder)
        assert (folder / "identity.json").exists()
        token = read_token(folder)
        answer = requests.get(f"{server.url}/v1/phrases", headers={"Authorization": f"Bearer {token}"}, timeout=20)
        kept = {phrase["text"] for phrase in answer.json()["phrases"]}
        assert kept >= {"De la place.", TEXT} | (set() if before == "never" else {"Avant."})


def children(server: Server) -> list[Any]:
    import psutil

    return list(psutil.Process(server.process.pid).children())


def test_disk_that_fills_up_while_monica_runs(tmp_path: Path, disk: SmallDisk) -> None:
    folder = disk.folder / "cache"
    with Server(tmp_path, settings_of(folder)) as server:
        server.wait_ready().say("Avant.")
        assert health(server)["status"] == "ok"
        disk.fill()
        server.say(TEXT)
        assert_degraded(server)
        ask_everything(server, folder)
        disk.free()
        assert_keeps_again(server, folder)


@pytest.mark.parametrize("folder", ["/proc/monica", "/dev/null/monica"])
def test_folder_that_is_a_wrong_setting_still_stops_the_start(tmp_path: Path, folder: str) -> None:
    log = run_to_failure(tmp_path, settings_of(Path(folder)))
    assert f"cannot start: MONICA_CACHE_DIR='{folder}' cannot be used (" in log
    assert "Choose a folder that can be written." in log
    assert "Traceback" not in log


def test_command_names_the_full_disk(disk: SmallDisk) -> None:
    folder = disk.folder / "cache"
    assert monica("cache", "import", "/dev/null", MONICA_CACHE_DIR=str(folder)).returncode == 1
    (folder / "takes").mkdir(parents=True)
    disk.fill()
    done = monica("cache", "ls", MONICA_CACHE_DIR=str(folder))
    assert done.returncode == 1
    assert done.stderr.endswith(b"The disk is full: make room.\n")
