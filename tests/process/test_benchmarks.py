"""The load benchmarks run, and print what they promise. The figures they print here mean nothing."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.support.server import ROOT, clean_environment


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_load() -> None:
    out = run("benchmarks.load", "--engines", "espeak", "--clients", "1", "8", "--quick", "--seconds", "0.2")
    assert "| clients | answers/s | lock | ratio | p50, ms | p95, ms | p99, ms | first byte, ms |" in out
    number = r"\d+\.\d+"
    for who in ("1", "8", "8, 90% kept"):
        times = r"\| \d+ / \d+ " * 4
        assert re.search(rf"^\| {who} \| {number} \| {number} \| {number} {times}\|$", out, re.MULTILINE), out
    for target in ("2.5 at least", "3 at most", "0.85 at least"):
        assert re.search(rf"\| {number} \| ({number}|1) \| {target} \|$", out, re.MULTILINE), out
    assert re.search(r"behind ten background ones, at most \| \d+ \|", out), out


def test_endurance() -> None:
    out = run("benchmarks.endurance", "--minutes", "0.05", "--visitors", "4")
    assert "| distinct | 200 |" in out
    assert "every visit was answered, and nothing is wrong" in out


def test_finish() -> None:
    out = run("benchmarks.finish")
    assert re.search(r"^\| all of it \(target: at most 2\.5 ms\) \| \d+\.\d\d \|$", out, re.MULTILINE), out


def test_routing_and_rates() -> None:
    out = run("benchmarks.routing", "--nodes", "4", "--phrases", "1000", "--requests", "250000")
    for routing in ("least_conn", "hash consistent", "hash consistent and a shared store"):
        assert re.search(
            rf"^\| {routing} \| \d+\.\d% \| \d+ \| \d+\.\d \| \d+ \| \d\.\d\d \| \d\.\d\d \|$", out, re.MULTILINE
        ), out
        assert re.search(rf"^\| {routing} \| \d+ \| \d+ \| \d+ \|$", out, re.MULTILINE), out
    out = run("benchmarks.rates", "--gpu-seconds-per-sound", "0.1", "--dollars-an-hour", "3.6")
    assert "| yours | 0.100 | 300 | 0.3 $ | given |" in out
