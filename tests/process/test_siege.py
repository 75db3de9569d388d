"""The short form of the siege: everything at once for a few seconds. `make siege` takes longer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

from benchmarks.siege.cases import build, damage
from benchmarks.siege.tally import Tally
from tests.support.server import ROOT, clean_environment
from tests.support.system import program


def test_short_siege(tmp_path: Path) -> None:
    program("mount")
    state = tmp_path / "siege.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.siege", "--minutes", "0.15", "--cases", "60", "--state", str(state)],
        cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| 5xx that are not 503, 504 or 507 | 0 |" in done.stdout
    tally = json.loads(state.read_text())
    assert (tally["pieces"], tally["bad"], tally["faults"]) == (1, 0, [])
    assert tally["requests"] > 200
    assert tally["verified"] > 0
    assert sum(tally["kills"].values()) >= 1


def test_siege_goes_on_from_its_tally(tmp_path: Path) -> None:
    tally = Tally()
    tally.note("200", 1.5)
    tally.note("500", 0.5, "500 to GET /")
    tally.note("503")
    tally.kills["worker"] += 1
    tally.save(tmp_path / "siege.json")
    again = Tally.load(tmp_path / "siege.json")
    again.note("200")
    assert (again.requests, again.unexplained, again.slowest, again.faults) == (4, 1, 1.5, ["500 to GET /"])
    assert again.faulty == 1
    assert (again.statuses["200"], again.kills.total()) == (2, 1)
    assert "| 5xx that are not 503, 504 or 507 | 1 |" in again.table()


def test_damaged_requests_differ_from_the_whole_one() -> None:
    case, chance = build("POST", "/blabla", {"Content-Type": "application/json"}, b"{}"), Random(1)
    damaged = {damage(case, chance) for _ in range(200)}
    assert len(damaged) > 100
    assert sum(each == case for each in damaged) <= 1
