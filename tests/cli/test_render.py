"""`monica render` without a Ray; with one, it is in tests/process/test_ray.py."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest
from click.testing import CliRunner, Result

from monica.cli import main
from monica.render.folders import lock_folder
from tests.support.studios import Studios, on_shelf

BOOK = '[[phrases]]\ntext = "Bonjour."\n'


@pytest.fixture
def _ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Ray seem to be installed."""
    monkeypatch.setattr("monica.cli.render.find_spec", lambda name: name)


def run(tmp_path: Path, book: str, address: str = "127.0.0.1:9") -> Result:
    (tmp_path / "book.toml").write_text(book)
    arguments = ["render", str(tmp_path / "book.toml"), "--ray", address, "--out", str(tmp_path / "out")]
    return CliRunner().invoke(main, arguments, prog_name="monica")


def test_a_wrong_book_is_refused_with_its_line(tmp_path: Path) -> None:
    done = run(tmp_path, '[rosters]\nr = { file = "gone.csv" }\n')
    assert (done.exit_code, done.stderr) == (
        2,
        "monica: book.toml, line 2, rosters.r.file: gone.csv: No such file or directory\n",
    )
    assert not (tmp_path / "out").exists()


def test_without_ray_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monica.cli.render.find_spec", lambda name: None)
    done = run(tmp_path, BOOK)
    assert (done.exit_code, done.stderr) == (
        1,
        "monica: Ray is not installed here; install it with: uv sync --extra ray\n",
    )


@pytest.mark.usefixtures("_ray")
def test_two_renders_in_one_folder_are_refused(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path / "out")
    assert lock is not None
    done = run(tmp_path, BOOK, "local")
    lock.close()
    assert (done.exit_code, done.stderr) == (1, f"monica: Another render writes to {tmp_path / 'out'}.\n")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:9", "There is no Ray at 127.0.0.1:9: Connection refused"),
        ("nonsense", "The address of Ray's head is host:port, and not nonsense"),
        ("127.0.0.1:99999999999999999999", "host:port, and not 127.0.0.1:99999999999999999999"),
    ],
)
@pytest.mark.usefixtures("_ray")
def test_a_wrong_address_is_told_at_once(tmp_path: Path, address: str, reason: str) -> None:
    done = run(tmp_path, BOOK, address)
    assert done.exit_code == 1
    assert reason in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("_ray")
def test_sigterm_finishes_the_bundle_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []

    def terminate(text: str) -> bool:
        if text == "Table 300." and not stopped:
            stopped.append(text)
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    class Cluster(Studios):
        studios = 2

        def __init__(self, *_: object) -> None:
            super().__init__(terminate)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setitem(sys.modules, "monica.render.cluster", SimpleNamespace(Cluster=Cluster))
    book = f'[rosters]\nt = {list(range(1000))}\n[[phrases]]\ntext = "Table {{t}}."\nt = "t"\n'
    done = run(tmp_path, book, "local")
    assert done.exit_code == 130, done.stderr
    made = on_shelf(tmp_path / "out")
    assert 290 < len(made) < 1000
    assert f"0 were cached, {len(made)} made, 0 failed, {1000 - len(made)} left." in done.stdout

    done = run(tmp_path, book, "local")
    assert done.exit_code == 0, done.stderr
    assert f"{len(made)} were cached, {1000 - len(made)} made, 0 failed, 0 left." in done.stdout
    assert on_shelf(tmp_path / "out") == {f"Table {number}.": 1 for number in range(1000)}
