"""`monica render` without a Ray; with one, it is in tests/process/test_ray.py."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest
from click.testing import CliRunner, Result

from monica.cli import main
from monica.render.folders import lock_folder
from tests.store.redis_server import RedisServer
from tests.support.studios import Studios, on_shelf

BOOK = '[[phrases]]\ntext = "Bonjour."\n'


@pytest.fixture
def _ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Ray seem to be installed."""
    monkeypatch.setattr("monica.cli.render.find_spec", lambda name: name)


def run(tmp_path: Path, book: str, address: str = "127.0.0.1:9", out: str = "", *options: str) -> Result:
    (tmp_path / "book.toml").write_text(book)
    out = out or str(tmp_path / "out")
    arguments = ["render", str(tmp_path / "book.toml"), "--ray", address, "--out", out, *options]
    return CliRunner().invoke(main, arguments, prog_name="monica")


def use_studios(monkeypatch: pytest.MonkeyPatch, is_lost: Callable[[str], bool]) -> None:
    """Have studios in this process stand in for a Ray."""

    class Cluster(Studios):
        studios = 2

        def __init__(self, *_: object) -> None:
            super().__init__(is_lost)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setitem(sys.modules, "monica.render.cluster", SimpleNamespace(Cluster=Cluster))


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

    use_studios(monkeypatch, terminate)
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


@pytest.mark.usefixtures("_ray")
def test_into_the_shared_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[bytes] = []

    with RedisServer(tmp_path) as server, server.client() as client:

        def lose(text: str) -> bool:
            if text == "Table 600." and not lost:
                lost.extend(client.keys("monica:take:*")[:7])
                client.delete(*lost)
            return False

        use_studios(monkeypatch, lose)
        monkeypatch.setenv("MONICA_SHARED_STORE", server.url)
        monkeypatch.chdir(tmp_path)
        book = f'[rosters]\nt = {list(range(700))}\n[[phrases]]\ntext = "Table {{t}}."\nt = "t"\n'
        done = run(tmp_path, book, "local", "store")
        assert (done.exit_code, "0 were cached, 700 made, 0 failed, 0 left." in done.stdout) == (1, True), done.output
        assert done.stderr.endswith(
            "monica: the shared store has let go of 7 of them again: give it more memory, and render again\n"
        )
        done = run(tmp_path, book, "local", "store")
        assert (done.exit_code, "693 were cached, 7 made, 0 failed, 0 left." in done.stdout) == (0, True), done.output
        assert len(client.keys("monica:take:*")) == 700
        assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("store", "options", "code", "said"),
    [
        (None, (), 1, "monica: --out store needs MONICA_SHARED_STORE. For a folder of that name: --out ./store\n"),
        ("redis://127.0.0.1:9", (), 1, "monica: MONICA_SHARED_STORE: it cannot be reached.\n"),
        ("nonsense", (), 1, "monica: MONICA_SHARED_STORE is not an address such as redis://store:6379"),
        ("redis://127.0.0.1:9", ("--bundle-mb", "64"), 2, "--bundle-mb is for bundles, and --out store has none.\n"),
    ],
)
@pytest.mark.usefixtures("_ray")
def test_without_a_store_it_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    store: str | None,
    options: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    if store is not None:
        monkeypatch.setenv("MONICA_SHARED_STORE", store)
    done = run(tmp_path, BOOK, "local", "store", *options)
    assert done.exit_code == code
    assert said in done.stderr


@pytest.mark.usefixtures("_ray")
def test_a_folder_may_be_called_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_studios(monkeypatch, lambda _: False)
    monkeypatch.chdir(tmp_path)
    done = run(tmp_path, BOOK, "local", "./store", "--bundle-mb", "1")
    assert done.exit_code == 0, done.output
    assert on_shelf(tmp_path / "store") == {"Bonjour.": 1}
