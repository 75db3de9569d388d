"""Time loading the model: upstream's from_local against Monica's load, on the CPU, each time in a fresh process.

    python -m benchmarks.loading [--checkpoint DIR] [--runs N]

Imports are not counted on either side. T3's layers are fused as they are read. Monica's other weights stay in a memory
map, which is read when they are first used: `touched` is the time until every page has been read once, the fair figure
if a take follows.
Without --checkpoint, random weights of the full size are written to a temporary folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from monica.engine.torch.digest import SUMS, digest_files

ENGINES = ("upstream", "monica", "monica, 1st")
"""The sides compared. The first start on a machine also computes the checkpoint's digest; later ones remember it."""
T3 = "v2"
"""The only name upstream's released package knows."""

Figures = dict[str, float]


def find_files(directory: Path) -> Any:
    from monica.config import Settings
    from monica.engine.chatterbox.checkpoint import locate

    return locate(dataclasses.replace(Settings(), model_dir=directory, t3=T3))


def load_upstream(directory: Path) -> tuple[float, list[Any]]:
    """Load as upstream does. Returns the seconds and the modules."""
    from chatterbox.mtl_tts import ChatterboxMultilingualTTS

    began = time.perf_counter()
    tts = ChatterboxMultilingualTTS.from_local(directory, "cpu")
    return time.perf_counter() - began, [tts.t3, tts.s3gen, tts.ve]


def load_monica(directory: Path, cache_dir: Path) -> tuple[float, list[Any]]:
    """Load as Monica does, digest included. Returns the seconds and the modules."""
    import monica.engine.chatterbox.model  # noqa: F401  # not counted: upstream's imports are not either
    from monica.config import Settings
    from monica.engine.chatterbox import ChatterboxEngine

    settings = dataclasses.replace(Settings(), model_dir=directory, t3=T3, device="cpu", cache_dir=cache_dir)
    engine = ChatterboxEngine(settings)
    began = time.perf_counter()
    engine.load()
    seconds = time.perf_counter() - began
    model = engine._loaded().model
    return seconds, [model.t3.front, model.s3gen, model.voice_encoder]


def measure(engine: str, directory: Path) -> Figures:
    """Load once, in this process. Returns seconds and, for memory, GiB."""
    logging.disable()
    warnings.simplefilter("ignore")
    if engine == "upstream":
        loaded, modules = load_upstream(directory)
    else:
        with tempfile.TemporaryDirectory() as cache_dir:
            if engine == "monica":
                digest_files(find_files(directory).paths, Path(cache_dir) / SUMS)
            loaded, modules = load_monica(directory, Path(cache_dir))
    began = time.perf_counter()
    for module in modules:
        for parameter in module.parameters():
            parameter.detach().flatten()[::1024].sum()  # one weight of every page
    touched = loaded + time.perf_counter() - began
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return {
        "loaded": loaded,
        "touched": touched,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
    }


def measure_apart(engine: str, directory: Path) -> Figures:
    """Load once, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.loading", "--one", engine, "--checkpoint", str(directory)]
    # Offline: upstream's tokenizer asks the hub for a table, and the hub is not what is measured.
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def compare(directory: Path, runs: int) -> str:
    """Measure both, in turn. Returns a table of the medians."""
    import torch

    from monica.engine.torch.device import describe_device

    for path in directory.iterdir():  # read it into the page cache, so that both start alike
        with path.open("rb") as file:
            while file.read(2**24):
                pass
    found: dict[str, list[Figures]] = {engine: [] for engine in ENGINES}
    for _ in range(runs):
        for engine in ENGINES:
            found[engine].append(measure_apart(engine, directory))
    medians = {
        engine: {key: statistics.median(run[key] for run in each) for key in each[0]} for engine, each in found.items()
    }
    size = sum(path.stat().st_size for path in directory.iterdir()) / 2**30
    lines = [
        f"{describe_device('cpu')}, torch {torch.__version__}, checkpoint {size:.2f} GiB, median of {runs}",
        f"{'':20}{'loaded s':>10}{'touched s':>11}{'peak GiB':>10}",
    ]
    for engine, row in medians.items():
        lines.append(f"{engine:20}{row['loaded']:10.2f}{row['touched']:11.2f}{row['peak']:10.2f}")
    for engine in ENGINES[1:]:
        ratio = {key: medians[engine][key] / value for key, value in medians["upstream"].items()}
        lines.append(f"{'ratio, ' + engine:20}{ratio['loaded']:10.3f}{ratio['touched']:11.3f}{ratio['peak']:10.3f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        sys.stdout.write(f"\n{json.dumps(measure(arguments.one, arguments.checkpoint))}\n")
        return
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.checkpoint or Path(temporary)
        if arguments.checkpoint is None:
            from benchmarks.synthetic_checkpoint import write_checkpoint

            write_checkpoint(directory, t3=T3)
        sys.stdout.write(f"{compare(directory, arguments.runs)}\n")


if __name__ == "__main__":
    main()
