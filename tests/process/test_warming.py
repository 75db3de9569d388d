"""Phrases made ahead of time in a real Monica that is killed, is stopped, or runs out of disk meanwhile."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.support.faulty import Faults
from tests.support.server import Server
from tests.support.wire import metric, until

NAMES = ("Ana", "Bo", "Chloé", "Denis", "Elsa", "Farid", "Gina", "Hugo", "Inès", "Jo", "Karim", "Lise", "Marc")
TEXTS = [f"{killer} vient d'éliminer {victim} !" for killer in NAMES for victim in NAMES if killer != victim]
BOOK = f"""
[rosters]
players = {json.dumps(NAMES)}

[[phrases]]
text = "{{killer}} vient d'éliminer {{victim}} !"
killer = "players"
victim = "players"
"""
TAKE = re.compile(r"take ([0-9a-f]{12}): ")


@pytest.fixture
def espeak(tmp_path: Path) -> dict[str, str]:
    return {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}


def submit(server: Server, **body: object) -> str:
    """Submit a job. Returns its id."""
    answer = requests.post(f"{server.url}/v1/phrases/warm", json=body, headers=server.token(), timeout=60)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def get_job(server: Server, job_id: str) -> dict[str, Any]:
    answer = requests.get(f"{server.url}/v1/jobs/{job_id}", headers=server.token(), timeout=60)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


def ended(server: Server, job_id: str, seconds: float = 180) -> dict[str, Any]:
    until(lambda: get_job(server, job_id)["state"] not in ("waiting", "running"), seconds)
    return get_job(server, job_id)


def counts(job: dict[str, Any]) -> tuple[int, int, int, int]:
    return job["cached"], job["made"], job["failed"], job["left"]


def takes(server: Server) -> list[str]:
    """Return the keys of the takes that were made, from the log."""
    return TAKE.findall(server.log())


def kill(server: Server) -> None:
    """Kill all of Monica's processes at once, as a power cut does."""
    master = psutil.Process(server.process.pid)
    processes = [master, *master.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # the engine's process forks for each text
            process.suspend()  # so that the master does not replace a worker that is gone
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    server.process.wait()
    psutil.wait_procs(processes, 30)


def all_are_hits(server: Server, texts: list[str]) -> bool:
    with ThreadPoolExecutor(8) as pool:
        return {answer.headers["X-Monica-Cache"] for answer in pool.map(server.say, texts)} == {"hit"}


def test_book_is_completed_although_monica_is_killed_in_the_middle(tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak) as first:
        first.wait_ready()
        job_id = submit(first, book=BOOK, name="tournoi.toml")
        until(lambda: get_job(first, job_id)["made"] >= 40, 120)
        kill(first)
    before = takes(first)
    assert 40 <= len(before) < len(TEXTS)
    with Server(tmp_path, espeak) as second:
        second.wait_ready()
        job = ended(second, job_id)
        assert (job["state"], job["name"], job["total"]) == ("done", "tournoi.toml", len(TEXTS))
        # At most one take was kept without being logged.
        assert job["cached"] - len(before) in (0, 1)
        assert counts(job)[2:] == (0, 0)
        assert job["cached"] + job["made"] == len(TEXTS)
        after = takes(second)
        assert len(after) == job["made"] == metric(second, "monica_takes_total", outcome="ok")
        assert len(set(before + after)) == len(before + after)
        assert all_are_hits(second, TEXTS)
        assert takes(second) == after
        assert metric(second, "monica_requests_served_total", lane="background", cache="miss") == len(after)
        assert metric(second, "monica_requests_served_total", lane="live", cache="hit") == len(TEXTS)
        assert "Traceback" not in second.log()


def test_sigterm_exits_at_once_and_the_job_continues_later(tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak) as first:
        first.wait_ready()
        job_id = submit(first, phrases=TEXTS)
        until(lambda: get_job(first, job_id)["made"] >= 20, 120)
        first.terminate()
        assert first.wait_exit(60) == 0
        assert "Traceback" not in first.log()
    written = json.loads((tmp_path / "cache" / "jobs" / f"{job_id}.json").read_text())
    assert (written["state"], written["crashes"], 20 <= written["made"] < len(TEXTS)) == ("waiting", 0, True)
    with Server(tmp_path, espeak) as second:
        second.wait_ready()
        assert ended(second, job_id)["state"] == "done"
        assert sorted(takes(first) + takes(second)) == sorted(set(takes(first) + takes(second)))
        assert all_are_hits(second, TEXTS)


@contextmanager
def busy(tmp_path: Path, espeak: dict[str, str], fault: str) -> Iterator[tuple[Server, Faults, str]]:
    """Run a Monica whose engine has a fault while she processes a job."""
    faults = Faults(tmp_path / "faults")
    with Server(tmp_path, espeak | faults.settings) as server:
        server.wait_ready()
        with faults.on(fault):
            job_id = submit(server, phrases=TEXTS)
            until(lambda: metric(server, "monica_takes_under_way") == 1)
            yield server, faults, job_id


@pytest.mark.parametrize("how", ["SIGINT", "SIGQUIT"])
def test_control_c_does_not_count_as_a_crash(tmp_path: Path, espeak: dict[str, str], how: str) -> None:
    with busy(tmp_path, espeak, "held") as (server, _, job_id):
        server.process.send_signal(getattr(signal, how))
        assert server.wait_exit(60) == 0
        assert "Traceback" not in server.log()
    written = json.loads((tmp_path / "cache" / "jobs" / f"{job_id}.json").read_text())
    assert (written["state"], written["crashes"]) == ("waiting", 0)


def test_job_stops_within_one_phrase(tmp_path: Path, espeak: dict[str, str]) -> None:
    with busy(tmp_path, espeak, "held") as (server, faults, job_id):
        stopped = requests.delete(f"{server.url}/v1/jobs/{job_id}", headers=server.token(), timeout=60).json()
        assert (stopped["state"], stopped["made"], stopped["left"]) == ("stopped", 0, len(TEXTS))
        until(lambda: metric(server, "monica_takes_under_way") == 0)
        faults.switch("held", on=False)
        assert ended(server, submit(server, phrases=TEXTS[:5]))["made"] == 5
        assert metric(server, "monica_takes_total", outcome="abandoned") >= 1
        assert len(takes(server)) == 5


def test_live_announcement_does_not_wait_for_the_job(tmp_path: Path, espeak: dict[str, str]) -> None:
    with busy(tmp_path, espeak, "slow") as (server, _, job_id):
        before = get_job(server, job_id)["made"]
        assert server.say("Tapis de Rusmir !").headers["X-Monica-Cache"] == "miss"
        # Three takes of the job were waiting or running. Only one that was about to end may come first.
        assert get_job(server, job_id)["made"] - before <= 1
        assert metric(server, "monica_queue_wait_seconds_count", lane="live") == 1
        requests.delete(f"{server.url}/v1/jobs/{job_id}", headers=server.token(), timeout=60)


def test_failed_phrases_are_reported(tmp_path: Path, espeak: dict[str, str]) -> None:
    faults = Faults(tmp_path / "faults")
    with Server(tmp_path, espeak | faults.settings) as server:
        server.wait_ready()
        with faults.on("silent"):
            job = ended(server, submit(server, phrases=TEXTS[:3]))
        assert (job["state"], counts(job)) == ("done", (0, 0, 3, 0))
        assert sorted(failure["text"] for failure in job["failures"]) == sorted(TEXTS[:3])
        assert {failure["code"] for failure in job["failures"]} == {"synthesis_failed"}
        assert counts(ended(server, submit(server, phrases=TEXTS[:3]))) == (0, 3, 0, 0)


def test_job_continues_after_the_engine_is_lost(tmp_path: Path, espeak: dict[str, str]) -> None:
    faults = Faults(tmp_path / "faults", stuck_s=1.0)
    with Server(tmp_path, espeak | faults.settings) as server:
        server.wait_ready()
        (worker,) = psutil.Process(server.process.pid).children()
        job_id = submit(server, phrases=TEXTS)
        until(lambda: get_job(server, job_id)["made"] >= 5, 60)
        with faults.on("stuck"):
            psutil.wait_procs([worker], 60)
        server.wait_ready()
        job = ended(server, job_id)
        assert (job["state"], job["failed"], job["cached"] >= 5) == ("done", 0, True)
        assert len(set(takes(server))) == len(takes(server))
        assert all_are_hits(server, TEXTS)


def test_full_disk_ends_the_job_and_is_named_as_the_reason(tmp_path: Path, espeak: dict[str, str]) -> None:
    with Server(tmp_path, espeak) as server:
        server.wait_ready()
        (worker,) = psutil.Process(server.process.pid).children()
        if not hasattr(worker, "rlimit"):
            pytest.skip("limits of another process can only be set on Linux")
        worker.rlimit(psutil.RLIMIT_FSIZE, (40_000, -1))  # enough for a job's file, not for a sound
        job = ended(server, submit(server, phrases=TEXTS))
        assert (job["state"], job["reason"]) == ("failed", "The cache does not keep what is made: is the disk full?")
        assert len(takes(server)) < 15
        assert job["failures"][0]["code"] == "not_kept"


def test_two_jobs_keep_their_order_after_a_restart(tmp_path: Path, espeak: dict[str, str]) -> None:
    with busy(tmp_path, espeak, "held") as (server, _, first):
        second = submit(server, phrases=TEXTS[:20])
        time.sleep(0.1)
        kill(server)
    with Server(tmp_path, espeak) as server:
        server.wait_ready()
        jobs = [ended(server, job_id) for job_id in (first, second)]
        assert [counts(job) for job in jobs] == [(0, len(TEXTS), 0, 0), (20, 0, 0, 0)]
        assert jobs[0]["ended"] <= jobs[1]["started"]
