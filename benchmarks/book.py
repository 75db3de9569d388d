"""Make a large book on a real Ray with `monica render`, while studios, the driver and all of Ray are killed.

    uv run --extra ray --group dev python -m benchmarks.book [--phrases N] [--every S]

Real processes on this machine, two studios with espeak-ng. SIGKILL goes to a studio every S seconds, to the driver at a
third of the book, and to the driver and all of Ray at two thirds. The same command is started again each time. Then
every bundle is read, every sound of it included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from zipfile import ZipFile

import psutil

from benchmarks.hardware import describe_commit, describe_cpu
from benchmarks.table import head, row
from monica.store.bundle import Bundle
from tests.support.ray_cluster import RayCluster

TABLES = 100
BOOK = """\
[rosters]
players = { file = "players.csv" }
tables = { file = "tables.csv" }

[[phrases]]
text = "{player.name}, table {table.number}."
player = "players"
table = "tables"
"""
OPTIONS = ("--studios=2", "--bundle-mb=64", "--no-listen")
CATALOGUE_LIMIT = 2**40
"""Bytes that a catalogue may have for a bundle to be read: none is imported."""


@dataclass(slots=True)
class Kills:
    """How many processes were killed."""

    studios: int = 0
    drivers: int = 0
    clusters: int = 0


class Render:
    """`monica render` of one book into one folder, by whichever Ray there is."""

    def __init__(self, folder: Path, phrases: int, every_s: float) -> None:
        self.phrases = phrases // TABLES * TABLES
        self.kills = Kills()
        self._every_s = every_s
        self._sizes: dict[str, int] = {}
        self._book, self._out, self.log = folder / "book.toml", folder / "bundles", folder / "render.log"
        self._book.write_text(BOOK)
        players = "\n".join(f"Joueur {number}" for number in range(self.phrases // TABLES))
        (folder / "players.csv").write_text(f"name\n{players}\n")
        tables = "\n".join(str(number + 1) for number in range(TABLES))
        (folder / "tables.csv").write_text(f"number\n{tables}\n")

    def run_until(self, ray: RayCluster, share: float) -> bool:
        """Render until that share of the book is in bundles, and kill studios meanwhile. Then kill the driver.

        Returns whether the book was done before.
        """
        driver = ray.render(self._book, self._out, *OPTIONS, log=self.log)
        next_kill = time.monotonic() + self._every_s
        while not self._ended(driver):
            if time.monotonic() > next_kill:
                next_kill += self._every_s
                self._kill_a_studio(ray)
            if share < 1 and self._made() >= share * self.phrases:
                driver.kill()
                driver.wait()
                self.kills.drivers += 1
                return False
        if driver.returncode != 0:
            raise RuntimeError(f"monica render ended with {driver.returncode}:\n{self.log.read_text()[-2000:]}")
        return True

    def read(self) -> Counter[str]:
        """Read every sound of every bundle. Returns how often each key is there. Raises BundleError."""
        keys: Counter[str] = Counter()
        for path in sorted(self._out.glob("*.zip")):
            with path.open("rb") as file:
                keys.update(phrase.key for phrase in Bundle(file, CATALOGUE_LIMIT).phrases)
        return keys

    def _made(self) -> int:
        """Return how many phrases are in bundles that are whole."""
        for path in self._out.glob("*.zip"):
            if path.name not in self._sizes:
                with ZipFile(path) as bundle:
                    self._sizes[path.name] = len(bundle.namelist()) - 1  # the manifest
        return sum(self._sizes.values())

    def _kill_a_studio(self, ray: RayCluster) -> None:
        studios = ray.studios()
        if studios:
            with suppress(psutil.NoSuchProcess):
                studios[self.kills.studios % len(studios)].kill()
                self.kills.studios += 1

    @staticmethod
    def _ended(driver: Popen[bytes]) -> bool:
        with suppress(TimeoutExpired):
            driver.wait(2)
            return True
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--phrases", type=int, default=100_000, help=f"a multiple of {TABLES}")
    parser.add_argument("--every", type=float, default=20, help="seconds between two studios that are killed")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        render = Render(folder, arguments.phrases, arguments.every)
        done = False
        for number, shares in enumerate([(1 / 3, 2 / 3), (1.0,)]):
            (folder / f"ray{number}").mkdir()
            with RayCluster(folder / f"ray{number}", replicas=0) as ray:
                for share in shares:
                    done = render.run_until(ray, share)
            if number == 0:
                render.kills.clusters += 1
        minutes = (time.monotonic() - began) / 60
        keys = render.read()
        lost = render.log.read_text().count("a studio is lost")
    kills = render.kills
    sys.stdout.write(f"A book on Ray, on {describe_cpu()}, at {describe_commit()}.\n\n")
    head("", "")
    row("phrases of the book", f"{render.phrases}")
    row("in the bundles once", f"{sum(count == 1 for count in keys.values())}")
    row("missing, in two bundles", f"{render.phrases - len(keys)}, {sum(count > 1 for count in keys.values())}")
    row("`kill -9`", f"{kills.studios} of studios, {kills.drivers} of the driver, {kills.clusters} of all of Ray")
    row("studios that the driver replaced", f"{lost}")
    row("time, starts and kills included", f"{minutes:.0f} min")
    if not done or len(keys) != render.phrases or any(count > 1 for count in keys.values()):
        sys.exit("a phrase is missing, or is there twice")


if __name__ == "__main__":
    main()
