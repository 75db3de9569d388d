from __future__ import annotations

import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from diskcache import Cache

from monica import cache
from monica.cache import Store
from monica.errors import ConfigError
from tests.server import ROOT

KEY = "a" * 64
LARGE = bytes(range(256)) * 1000  # beyond what SQLite keeps inline: a file of its own


@pytest.fixture
def _always_from_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the seconds had passed during which a look-up is answered from memory."""
    monkeypatch.setattr(cache, "RECENT_SECONDS", 0)


@pytest.fixture
def store(tmp_path: Path, _always_from_disk: None) -> Store:
    return Store("takes", tmp_path / "takes", megabytes=10)


class Bomb:
    """Unpickled, it would leave a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.trace,)  # type: ignore[return-value]


@pytest.mark.parametrize("value", [b"", b"small", LARGE])
def test_bytes_come_back(store: Store, value: bytes) -> None:
    assert store.get(KEY) is None
    assert store.put(KEY, value)
    assert store.get(KEY) == value
    store.remove(KEY)
    assert store.get(KEY) is None


def test_recent_entries_come_from_memory_but_never_outlive_their_removal(tmp_path: Path) -> None:
    store = Store("takes", tmp_path / "takes", megabytes=10)
    store.put(KEY, LARGE)
    _file(tmp_path).unlink()
    assert store.get(KEY) == LARGE
    store.put(KEY, b"another")
    assert store.get(KEY) == b"another"
    store.remove(KEY)
    assert store.get(KEY) is None


def test_entries_outlive_the_process(tmp_path: Path) -> None:
    Store("takes", tmp_path / "takes", megabytes=10).put(KEY, LARGE)
    assert Store("takes", tmp_path / "takes", megabytes=10).get(KEY) == LARGE


def test_a_planted_pickle_is_refused(tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    trace = tmp_path / "trace"
    with Cache(str(tmp_path / "takes")) as plain:
        plain.set(KEY, Bomb(trace))
    assert store.get(KEY) is None
    assert not trace.exists()
    assert "cannot be used" in caplog.text
    assert store.put(KEY, b"anew")
    assert store.get(KEY) == b"anew"


def test_a_pickle_on_disk_behind_a_raw_row_is_refused(tmp_path: Path, store: Store) -> None:
    trace = tmp_path / "trace"
    store.put(KEY, LARGE)
    with sqlite3.connect(tmp_path / "takes" / "cache.db") as db:
        db.execute("UPDATE Cache SET mode = 4, filename = NULL, value = ?", (pickle.dumps(Bomb(trace)),))
    assert store.get(KEY) is None
    assert not trace.exists()


@pytest.mark.parametrize("value", ["text", 42, None, ["list"], {"a": 1}])
def test_only_bytes_are_kept(store: Store, value: object) -> None:
    assert not store.put(KEY, value)  # type: ignore[arg-type]
    assert store.get(KEY) is None


def _file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "takes").rglob("*.val")
    return path


def test_a_truncated_entry_is_a_miss(tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.put(KEY, LARGE)
    _file(tmp_path).write_bytes(LARGE[:1000])
    assert store.get(KEY) is None
    assert "its checksum differs" in caplog.text
    store.put(KEY, LARGE)
    assert store.get(KEY) == LARGE


def test_a_flipped_byte_is_a_miss(tmp_path: Path, store: Store) -> None:
    store.put(KEY, LARGE)
    _file(tmp_path).write_bytes(b"X" + LARGE[1:])
    assert store.get(KEY) is None


def test_a_lost_file_is_a_miss(tmp_path: Path, store: Store) -> None:
    store.put(KEY, LARGE)
    _file(tmp_path).unlink()
    assert store.get(KEY) is None


def test_a_corrupt_database_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    (folder / "cache.db").write_bytes(b"not a database at all" * 500)
    store = Store("takes", folder, megabytes=10)
    assert "set aside as takes.corrupt-" in caplog.text
    assert store.put(KEY, b"anew")
    assert store.get(KEY) == b"anew"
    assert list(tmp_path.glob("takes.corrupt-*"))


@pytest.mark.usefixtures("_always_from_disk")
def test_the_least_recently_used_go(tmp_path: Path) -> None:
    store = Store("takes", tmp_path / "takes", megabytes=2)
    for n in range(12):
        store.put(f"{n:064d}", LARGE)
        store.get(f"{0:064d}")  # kept in use
    assert store.volume() < 2.4 * 2**20
    assert store.get(f"{0:064d}") == LARGE
    assert store.get(f"{1:064d}") is None


def test_conditionals_are_never_evicted(tmp_path: Path) -> None:
    store = Store("conditionals", tmp_path / "conditionals")
    for n in range(30):
        store.put(f"{n:064d}", LARGE)
    assert all(store.get(f"{n:064d}") == LARGE for n in range(30))


@pytest.mark.parametrize("folder", ["/proc/monica", "/dev/null/monica"])
def test_a_folder_that_cannot_be_used_is_a_config_error(folder: str) -> None:
    with pytest.raises(ConfigError, match=r"MONICA_CACHE_DIR='/.*' cannot be used"):
        Store("takes", Path(folder) / "takes", megabytes=1)


def test_a_full_disk_is_logged_not_raised(tmp_path: Path) -> None:
    """A real refusal of the kernel: no file of this process may grow beyond 64 KiB."""
    script = f"""
import logging, resource, signal
from pathlib import Path
from monica.cache import Store
logging.basicConfig()
store = Store("takes", Path({str(tmp_path / "takes")!r}), megabytes=10)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
print(store.put("{KEY}", bytes(200_000)), store.get("{KEY}"))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False None\n"
    assert "cannot be kept" in done.stderr
    assert not list((tmp_path / "takes").rglob("*.val"))
