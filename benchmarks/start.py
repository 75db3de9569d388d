"""Time from the command to the first answer and to ready, and the memory then, compared with a bare Flask application.

    python -m benchmarks.start

Both run under the same gunicorn settings, and find the bytecode that an earlier start left, as on any machine but for
the first start after an install or an update. That one compiles everything, which has a row of its own.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.hardware import describe_cpu
from benchmarks.http import BARE
from benchmarks.servers import PLAIN, ROOT, free_port


def start(folder: Path, cwd: Path, *arguments: str) -> tuple[float, float, float]:
    """Return the seconds to the first HTTP answer and to a 200 of /health, and the resident MiB of all processes."""
    port = free_port()
    environ = os.environ | {"MONICA_DEVICE": "cpu", "MONICA_CACHE_DIR": str(folder / "cache"), "PORT": str(port)}
    environ |= {"HOST": "127.0.0.1", "LOG_LEVEL": "warning", "PYTHONPYCACHEPREFIX": str(folder / f"pyc-{cwd.name}")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    command = [sys.executable, "-m", "gunicorn", *arguments, "-b", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, cwd=cwd, env=environ)
    answered = None
    try:
        while time.perf_counter() - began < 60:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/health")
                status = connection.getresponse().status
            except OSError:
                time.sleep(0.01)
                continue
            answered = answered or time.perf_counter() - began
            if status == 200:
                ready = time.perf_counter() - began
                master = psutil.Process(process.pid)
                resident = sum(p.memory_info().rss for p in [master, *master.children(recursive=True)]) / 2**20
                return answered, ready, resident
        raise RuntimeError("not ready within a minute")
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sound.wav").write_bytes(b"")
        (folder / "bare.py").write_text(BARE.format(sound=str(folder / "sound.wav")))
        _, first, _ = start(folder, ROOT)
        _, first_bare, _ = start(folder, folder, "bare:app", *PLAIN)
        monica, bare = [], []
        for _ in range(options.runs):
            monica.append(start(folder, ROOT))
            bare.append(start(folder, folder, "bare:app", *PLAIN))
    print(f"\nStart with the embedded engine, median of {options.runs}, on {describe_cpu()}\n")
    print("| | Monica | bare Flask | ratio |")
    print("| --- | --- | --- | --- |")
    rows = ("HTTP answers", "s"), ("ready", "s"), ("resident, all processes", "MiB")
    for (row, unit), ours, theirs in zip(rows, zip(*monica, strict=True), zip(*bare, strict=True), strict=True):
        a, b = statistics.median(ours), statistics.median(theirs)
        print(f"| {row} | {a:.2f} {unit} | {b:.2f} {unit} | {a / b:.2f} |")
    print(f"| ready, without bytecode, once | {first:.2f} s | {first_bare:.2f} s | {first / first_bare:.2f} |")


if __name__ == "__main__":
    main()
