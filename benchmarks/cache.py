"""The cost of the catalogue: listing and counting ten thousand phrases, a look-up, and renaming old keys.

    python -m benchmarks.cache [--phrases N] [--runs N]

Each figure is the best of the runs. CPU time is shown too, for a machine that has other work. Ratios are to reading the
same rows with SQLite and nothing more. Sounds are 33 kB, a file each, as takes are; 10,000 of them are 330 MB in the
temporary folder. A look-up on disk is compared with diskcache's own look-up of the same bytes, which neither checks nor
counts them. The upgrade renames all phrases from keys of version 1, as a server does once.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from diskcache import Cache

from benchmarks.hardware import describe_cpu
from monica.engine import SynthesisParams
from monica.store import recent
from monica.store.cache import Store
from monica.store.catalogue import Catalogue
from monica.store.metadata import Metadata
from monica.store.migration import old_key, rename_old_keys
from monica.store.recipe import Recipe

MEGABYTES = 4096
SOUND = bytes(33_000)
LOOK_UPS = 2000


def metadata(number: int) -> Metadata:
    said = f"Le joueur numéro {number} vient de se faire éliminer à la table {number % 40}, avec une paire de rois."
    recipe = Recipe(said, said, "chatterbox", "f" * 80, "monica", "v" * 64, SynthesisParams(), None, "1")
    return Metadata(recipe, number, 4.2, 1_790_000_000.0 + number)


def best(action: Callable[[], object], runs: int) -> tuple[float, float]:
    """Return the best wall time and CPU time in milliseconds, including processes that the action started."""
    times = []
    for _ in range(runs):
        began, spent = time.perf_counter(), sum(os.times()[:4])
        action()
        times.append((1000 * (time.perf_counter() - began), 1000 * (sum(os.times()[:4]) - spent)))
    return min(wall for wall, _ in times), min(cpu for _, cpu in times)


def command(folder: Path, *arguments: str) -> None:
    environment = os.environ | {"MONICA_CACHE_DIR": str(folder), "MONICA_CACHE_MB": str(MEGABYTES)}
    script = "from monica.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script, *arguments], env=environment, stdout=subprocess.DEVNULL)
    done.check_returncode()


def give_old_keys(database: sqlite3.Connection, keys: list[str]) -> None:
    """Turn the phrases into those of an older Monica: keys, metadata, and a database without a version."""
    for number, key in enumerate(keys):
        fields = metadata(number).to_fields() | {"params": asdict(SynthesisParams())}
        del fields["version"]
        change = "UPDATE Cache SET key = ?, tag = substr(tag, 1, 65) || ? WHERE key = ?"
        database.execute(change, (old_key(fields), json.dumps(fields, separators=(",", ":")), key))
    database.execute("PRAGMA user_version = 0")
    database.commit()


def look_up(get: Callable[[str], object], keys: list[str], runs: int) -> float:
    """Return the microseconds of one lookup."""
    return 1000 * best(lambda: [get(key) for key in keys], runs)[0] / len(keys)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phrases", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store("takes", folder / "takes", megabytes=MEGABYTES)
        keys = []
        for number in range(options.phrases):
            made = metadata(number)
            keys.append(made.recipe.key)
            store.put(made.recipe.key, SOUND, made.to_json())
        catalogue = Catalogue(store, MEGABYTES * 2**20)
        database = sqlite3.connect(folder / "takes" / "cache.db")
        figures = {
            "`SELECT COUNT(*)`": lambda: database.execute("SELECT COUNT(*) FROM Cache").fetchall(),
            "the rows, read plainly": lambda: database.execute("SELECT key, tag, store_time FROM Cache").fetchall(),
            "stats": catalogue.stats,
            "ls": catalogue.phrases,
            "ls with a search": lambda: catalogue.phrases("ELIMINE"),
            "`monica cache stats`, the whole command": lambda: command(folder, "cache", "stats"),
            "`monica --version`": lambda: command(folder, "--version"),
        }
        measured = {what: best(action, options.runs) for what, action in figures.items()}
        give_old_keys(database, keys)
        measured["an upgrade, once"] = best(lambda: rename_old_keys(store), 1)
        database.close()
        some = keys[:LOOK_UPS]
        hot = keys[-1000:]  # the last ones written are still in memory
        look_ups = {"from memory": look_up(store.get, [key for key in hot if store.get(key)], options.runs)}
        store.close()
        recent.RECENT_SECONDS = 0
        store = Store("takes", folder / "takes", megabytes=MEGABYTES)
        look_ups["from disk"] = look_up(store.get, some, options.runs)
        store.close()
        with Cache(folder / "plain", eviction_policy="least-recently-used", size_limit=MEGABYTES * 2**20) as plain:
            for key in some:
                plain.set(key, SOUND)
            look_ups["diskcache's own, from disk"] = look_up(plain.get, some, options.runs)
    print(f"\n{options.phrases} phrases, on {describe_cpu()}\n")
    print("| | ms | ms of CPU | ratio |\n| --- | --- | --- | --- |")
    for what, (wall, cpu) in measured.items():
        print(f"| {what} | {wall:.1f} | {cpu:.0f} | {wall / measured['the rows, read plainly'][0]:.1f} |")
    print("\n| a look-up | µs |\n| --- | --- |")
    for what, us in look_ups.items():
        print(f"| {what} | {us:.1f} |")


if __name__ == "__main__":
    main()
