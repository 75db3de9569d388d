from __future__ import annotations

import hashlib
import pickle
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from diskcache import Cache
from prometheus_client import REGISTRY

from monica.errors import ConfigError
from monica.store import recent
from monica.store.cache import CacheError, Store
from monica.store.disk import BytesDisk
from monica.store.phrase import KeptPhrase
from tests.support.server import ROOT

KEY = "a" * 64
LARGE = bytes(range(256)) * 1000  # beyond what SQLite keeps inline: a file of its own


@pytest.fixture
def _always_from_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer nothing from memory, as if ten seconds had passed."""
    monkeypatch.setattr(recent, "RECENT_SECONDS", 0)


@pytest.fixture
def store(tmp_path: Path, _always_from_disk: None) -> Store:
    return Store("takes", tmp_path / "takes", megabytes=10)


class Bomb:
    """Leaves a trace if it is unpickled."""

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


def test_recent_sounds_come_from_memory_but_never_outlive_their_removal(tmp_path: Path) -> None:
    store = Store("takes", tmp_path / "takes", megabytes=10)
    store.put(KEY, LARGE)
    _file(tmp_path).unlink()
    assert store.get(KEY) == LARGE
    store.put(KEY, b"another")
    assert store.get(KEY) == b"another"
    store.remove(KEY)
    assert store.get(KEY) is None


def test_sounds_outlive_the_process(tmp_path: Path) -> None:
    Store("takes", tmp_path / "takes", megabytes=10).put(KEY, LARGE)
    assert Store("takes", tmp_path / "takes", megabytes=10).get(KEY) == LARGE


def test_planted_pickle_is_refused(tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    trace = tmp_path / "trace"
    with Cache(str(tmp_path / "takes")) as plain:
        plain.set(KEY, Bomb(trace))
    assert store.get(KEY) is None
    assert not trace.exists()
    assert "cannot be used" in caplog.text
    assert store.put(KEY, b"again")
    assert store.get(KEY) == b"again"


def test_pickle_on_disk_behind_a_raw_row_is_refused(tmp_path: Path, store: Store) -> None:
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


def test_truncated_sound_is_a_miss(tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.put(KEY, LARGE)
    _file(tmp_path).write_bytes(LARGE[:1000])
    assert store.get(KEY) is None
    assert "its checksum differs" in caplog.text
    store.put(KEY, LARGE)
    assert store.get(KEY) == LARGE


def test_flipped_byte_is_a_miss(tmp_path: Path, store: Store) -> None:
    store.put(KEY, LARGE)
    _file(tmp_path).write_bytes(b"X" + LARGE[1:])
    assert store.get(KEY) is None


def test_lost_file_is_a_miss(tmp_path: Path, store: Store) -> None:
    store.put(KEY, LARGE)
    _file(tmp_path).unlink()
    assert store.get(KEY) is None


def test_corrupt_database_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    (folder / "cache.db").write_bytes(b"not a database at all" * 500)
    store = Store("takes", folder, megabytes=10)
    assert "set aside as takes.corrupt-" in caplog.text
    assert store.put(KEY, b"again")
    assert store.get(KEY) == b"again"
    assert list(tmp_path.glob("takes.corrupt-*"))


@pytest.mark.usefixtures("_always_from_disk")
def test_least_recently_used_are_evicted(tmp_path: Path) -> None:
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
def test_unusable_folder_is_a_config_error(folder: str) -> None:
    with pytest.raises(ConfigError, match=r"MONICA_CACHE_DIR='/.*' cannot be used"):
        Store("takes", Path(folder) / "takes", megabytes=1)


def test_full_disk_is_logged_not_raised(tmp_path: Path) -> None:
    """A real refusal of the kernel: no file of this process may grow beyond 64 KiB."""
    script = f"""
import logging, resource, signal
from pathlib import Path
from monica.store.cache import Store
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


def _phrase(store: Store, key: str = KEY) -> KeptPhrase:
    (phrase,) = [phrase for phrase in store.phrases() if phrase.key == key]
    return phrase


def _metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize("value", [b"", b"small", LARGE])
def test_phrase_is_known_without_reading_its_sound(store: Store, value: bytes) -> None:
    metadata = '{"text": "Tournoi à 20 h"}  with spaces\nand lines'
    assert store.put(KEY, value, metadata)
    phrase = _phrase(store)
    digest = hashlib.sha256(value).hexdigest()
    assert (phrase.sha256, phrase.metadata_json, phrase.size) == (digest, metadata, len(value))
    assert (phrase.hits, phrase.pinned) == (0, False)
    assert store.get(KEY) == value


@pytest.mark.usefixtures("_always_from_disk")
@pytest.mark.parametrize("value", [b"small", LARGE])
def test_sounds_older_than_metadata_are_still_read(tmp_path: Path, value: bytes) -> None:
    store = Store("takes", tmp_path / "takes", megabytes=10)
    store.put(KEY, value, "metadata")
    digest = hashlib.sha256(value).hexdigest()
    with sqlite3.connect(tmp_path / "takes" / "cache.db") as db:
        db.execute("UPDATE Cache SET tag = ?", (digest,))
    assert store.get(KEY) == value
    assert store.peek(KEY) == value
    assert (_phrase(store).sha256, _phrase(store).metadata_json) == (digest, "")


def test_store_older_than_pins_is_opened(tmp_path: Path) -> None:
    with Cache(str(tmp_path / "takes"), disk=BytesDisk, eviction_policy="least-recently-used") as plain:
        plain.set(KEY, LARGE, tag=hashlib.sha256(LARGE).hexdigest())
    store = Store("takes", tmp_path / "takes", megabytes=10)
    store.pin([KEY])
    assert store.get(KEY) == LARGE
    assert (_phrase(store).hits, _phrase(store).pinned) == (1, True)


@pytest.mark.parametrize("seconds", [0, 10])
def test_hits_survive_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Both those answered from disk and those answered from memory."""
    monkeypatch.setattr(recent, "RECENT_SECONDS", seconds)
    for restart in range(1, 4):
        store = Store("takes", tmp_path / "takes", megabytes=10)
        if restart == 1:
            store.put(KEY, LARGE)
        for _ in range(5):
            assert store.get(KEY) == LARGE
        store.close()
        assert _phrase(Store("takes", tmp_path / "takes", megabytes=10)).hits == 5 * restart


def test_hits_from_memory_are_counted_when_the_disk_is_next_asked(tmp_path: Path) -> None:
    store = Store("takes", tmp_path / "takes", megabytes=10)
    store.put(KEY, LARGE)
    for _ in range(5):
        store.get(KEY)
    assert _phrase(store).hits == 0  # the disk was spared
    store.get("b" * 64)
    assert _phrase(store).hits == 5


def test_replaced_take_has_no_hits(store: Store) -> None:
    store.put(KEY, LARGE)
    store.get(KEY)
    assert _phrase(store).hits == 1
    store.put(KEY, LARGE)
    assert _phrase(store).hits == 0


@pytest.mark.parametrize("value", [b"small", LARGE])
def test_use_without_a_hit_counts_as_use(tmp_path: Path, value: bytes) -> None:
    store = Store("takes", tmp_path / "takes", megabytes=10)
    for key in (KEY, "b" * 64):
        store.put(key, value)
    before = _phrase(store).used
    looked_up = _metric("monica_cache_lookups_total", cache="takes", result="hit")
    assert store.get_without_hit(KEY) == value
    store.flush()
    assert _phrase(store).hits == 0
    assert _phrase(store).used > before
    assert store.get_without_hit("c" * 64) is None
    assert _metric("monica_cache_lookups_total", cache="takes", result="hit") == looked_up


def test_corrupt_sound_is_removed_on_use(tmp_path: Path) -> None:
    store = Store("takes", tmp_path / "takes", megabytes=10)
    store.put(KEY, LARGE)
    next((tmp_path / "takes").rglob("*.val")).write_bytes(b"corrupt")
    assert store.get_without_hit(KEY) is None
    assert store.phrases() == []


def test_failure_to_count_hits_costs_nothing_else(tmp_path: Path) -> None:
    store = Store("takes", tmp_path / "takes", megabytes=10)
    store.put(KEY, LARGE)
    Store("takes", tmp_path / "takes", megabytes=10).put("b" * 64, LARGE)  # not in the memory of the first
    with sqlite3.connect(tmp_path / "takes" / "cache.db") as db:
        db.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON Cache WHEN NEW.access_count > OLD.access_count + 1 "
            "BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    for _ in range(2):
        store.get(KEY)
    assert store.get("b" * 64) == LARGE
    for _ in range(2):
        store.get(KEY)
    store.close()
    assert store.get(KEY) == LARGE


def test_peeking_is_not_using(store: Store) -> None:
    store.put(KEY, LARGE)
    before = _phrase(store)
    assert store.peek(KEY) == LARGE
    assert _phrase(store) == before
    assert store.peek("b" * 64) is None


@pytest.mark.parametrize("damage", ["flipped", "truncated", "lost"])
def test_peeking_at_a_corrupt_sound_raises_and_leaves_it(tmp_path: Path, store: Store, damage: str) -> None:
    store.put(KEY, LARGE)
    path = _file(tmp_path)
    if damage == "lost":
        path.unlink()
    else:
        path.write_bytes(LARGE[:-1] if damage == "truncated" else b"X" + LARGE[1:])
    with pytest.raises(CacheError, match="phrase aaaaaaaaaaaa cannot be used") as caught:
        store.peek(KEY)
    assert str(tmp_path) not in caught.value.message
    assert _phrase(store).key == KEY


@pytest.mark.usefixtures("_always_from_disk")
def test_pinned_phrases_stay(tmp_path: Path) -> None:
    store = Store("takes", tmp_path / "takes", megabytes=2)
    pinned = [f"{n:064d}" for n in range(2)]
    for key in pinned:
        store.put(key, LARGE)
    store.pin(pinned)
    for n in range(2, 20):
        store.put(f"{n:064d}", LARGE)
    assert [store.get(key) for key in pinned] == [LARGE, LARGE]
    assert store.get(f"{2:064d}") is None
    store.pin(pinned[:1], pinned=False)
    for n in range(20, 40):
        store.put(f"{n:064d}", LARGE)
    assert [store.peek(key) for key in pinned] == [None, LARGE]


def test_pin_outlives_its_take(tmp_path: Path, store: Store) -> None:
    store.put(KEY, LARGE)
    store.pin([KEY])
    store.put(KEY, LARGE + b"another")
    assert _phrase(store).pinned
    _file(tmp_path).write_bytes(b"corrupt")
    assert store.get(KEY) is None  # removed, and made again
    store.put(KEY, LARGE)
    assert _phrase(store).pinned


def test_store_full_of_pins_still_answers(tmp_path: Path) -> None:
    store = Store("takes", tmp_path / "takes", megabytes=1)
    keys = [f"{n:064d}" for n in range(6)]
    for key in keys[:3]:
        store.put(key, LARGE)
    store.pin(keys)
    for key in keys[3:]:
        assert store.put(key, LARGE)
    assert store.put(KEY, LARGE)  # evicted again at once
    assert all(store.peek(key) == LARGE for key in keys)
    assert store.peek(KEY) is None
    Store("takes", tmp_path / "takes", megabytes=1)  # nothing can be evicted, and that does not loop forever


def test_evictions_are_counted(tmp_path: Path) -> None:
    def evicted() -> float:
        return _metric("monica_cache_evictions_total", cache="takes")

    began = evicted()
    store = Store("takes", tmp_path / "takes", megabytes=2)
    for n in range(12):
        store.put(f"{n:064d}", LARGE)
    left = len(store.phrases())
    assert 0 < evicted() - began == 12 - left
    store.remove(store.phrases()[0].key)
    assert evicted() - began == 12 - left  # a removal is not an eviction
    Store("takes", tmp_path / "takes", megabytes=1)
    assert evicted() - began == 12 - 1 - len(store.phrases())


@pytest.mark.usefixtures("_always_from_disk")
def test_changes_of_another_process_are_seen(tmp_path: Path) -> None:
    here = Store("takes", tmp_path / "takes", megabytes=2)
    there = Store("takes", tmp_path / "takes", megabytes=2, visiting=True)
    here.put(KEY, LARGE)
    here.put("b" * 64, LARGE)
    there.remove(KEY)
    assert here.get(KEY) is None
    there.pin(["b" * 64])
    for n in range(12):
        here.put(f"{n:064d}", LARGE)
    assert here.get("b" * 64) == LARGE


def test_visitor_evicts_nothing(tmp_path: Path) -> None:
    """A shell may lack the server's MONICA_CACHE_MB."""
    store = Store("takes", tmp_path / "takes", megabytes=10)
    for n in range(12):
        store.put(f"{n:064d}", LARGE)
    Store("takes", tmp_path / "takes", megabytes=1, visiting=True)
    assert len(store.phrases()) == 12


def test_visitor_sets_nothing_aside(tmp_path: Path) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    (folder / "cache.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(ConfigError, match="The cache is corrupt"):
        Store("takes", folder, megabytes=10, visiting=True)
    assert [path.name for path in tmp_path.iterdir()] == ["takes"]


def test_foreign_rows_are_not_listed(tmp_path: Path, store: Store) -> None:
    with Cache(str(tmp_path / "takes")) as plain:
        plain.set(("a", "tuple"), Bomb(tmp_path / "trace"))
        plain.set(KEY, b"without a tag")
    assert store.phrases() == []
    assert not (tmp_path / "trace").exists()


def test_disk_errors_are_raised_to_the_catalogue(tmp_path: Path, store: Store) -> None:
    store.put(KEY, LARGE)
    shutil.rmtree(tmp_path / "takes")
    (tmp_path / "takes").mkdir()
    (tmp_path / "takes" / "cache.db").write_bytes(b"not a database at all" * 500)
    store.close()
    with pytest.raises(CacheError, match="cannot be used"):
        store.phrases()
    with pytest.raises(CacheError, match="cannot be used"):
        store.pin([KEY])
    assert store.get(KEY) is None
    assert not store.remove(KEY)


@pytest.fixture
def _failing_disk(monkeypatch: pytest.MonkeyPatch, store: Store) -> Iterator[None]:
    """Refuse every write to the database, as a full disk does."""
    monkeypatch.setattr("monica.store.outage.RETRY_S", 0.05)
    db = sqlite3.connect(store._directory / "cache.db", isolation_level=None)
    for change in ("INSERT", "UPDATE", "DELETE"):
        db.execute(f"CREATE TRIGGER no_{change} BEFORE {change} ON Cache BEGIN SELECT RAISE(FAIL, 'full'); END")
    yield
    for change in ("INSERT", "UPDATE", "DELETE"):
        db.execute(f"DROP TRIGGER IF EXISTS no_{change}")
    db.close()
    store.close()


def test_good_sound_is_answered_although_its_use_cannot_be_noted(
    store: Store, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk must not cost what is kept already."""
    store.put(KEY, LARGE)
    request.getfixturevalue("_failing_disk")
    assert store.get(KEY) == LARGE
    assert store.get_without_hit(KEY) == LARGE
    assert store.peek(KEY) == LARGE
    assert "it is made again" not in caplog.text


def test_outage_lasts_until_what_failed_can_be_written(
    store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.outage.reason is None
    assert _metric("monica_cache_unwritable", cache="takes") == 0
    ended = threading.Event()
    store.outage.on_end = ended.set
    request.getfixturevalue("_failing_disk")
    assert not store.put(KEY, LARGE)
    assert store.outage.reason == "full"
    assert _metric("monica_cache_unwritable", cache="takes") == 1
    assert not ended.wait(0.3)
    with sqlite3.connect(store._directory / "cache.db") as db:
        for change in ("INSERT", "UPDATE", "DELETE"):
            db.execute(f"DROP TRIGGER no_{change}")
    assert ended.wait(10)
    assert store.outage.reason is None
    assert _metric("monica_cache_unwritable", cache="takes") == 0
    assert store.phrases() == []  # what the attempts wrote is gone


def test_value_of_the_wrong_type_is_no_outage(store: Store) -> None:
    assert not store.put(KEY, "text")  # type: ignore[arg-type]
    assert store.outage.reason is None
