"""A render into the shared store, a real redis-server: it goes on, and it says when the store has no room."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from monica.config import Settings
from monica.errors import ConfigError
from monica.render import shared_shelf
from monica.render.rendering import Rendering
from monica.render.shared_shelf import SharedShelf
from monica.store.envelope import pack, unpack
from monica.store.metadata import Metadata
from monica.store.redis_link import RedisLink
from monica.store.shared import SharedStore
from monica.warming.book import PhraseBook
from monica.warming.job import Job, JobSource
from tests.store.redis_server import RedisServer
from tests.support.kept import metadata, server_store, sound
from tests.support.studios import SECONDS, Studios
from tests.support.wire import until

TEXTS = [f"Table {number}, à vos places." for number in range(700)]
PREFIX = "test"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_shelf, "AGAIN_S", 0.05)
    monkeypatch.setattr(shared_shelf, "LOCK_S", 1.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server
        server.go_on()


def shelf_in(server: RedisServer) -> SharedShelf:
    return SharedShelf(RedisLink(server.url, None), PREFIX)


def key_of(text: str) -> str:
    return metadata(text).recipe.key


def name_of(text: str) -> str:
    return f"{PREFIX}:take:{key_of(text)}"


def render(
    server: RedisServer, studios: Studios, stop_after: int = 0, at_end: Callable[[SharedShelf], object] = lambda _: None
) -> Job:
    """Render the texts. stop_after: as soon as so many are made, without a word to anyone, as if it were killed."""
    book = PhraseBook.from_texts(TEXTS)
    job = Job("", JobSource("book"), book.count(), time.time())

    async def run(shelf: SharedShelf) -> None:
        making = asyncio.create_task(Rendering(book, shelf, job, studios.hire, lambda _: None).run(3))
        while stop_after and job.made < stop_after and not making.done():
            await asyncio.sleep(0)
        if stop_after:
            making.cancel()
        with suppress(asyncio.CancelledError):
            await making

    with closing(shelf_in(server)) as shelf:
        asyncio.run(run(shelf))
        at_end(shelf)
    return job


def in_store(server: RedisServer) -> set[str]:
    """Return the texts of the takes in the store, each of which is whole, under its key, and the one that was made."""
    texts = set()
    with server.client() as client:
        for name in client.scan_iter(f"{PREFIX}:take:*"):
            wav, written = unpack(client.get(name), name.decode().rpartition(":")[2])
            text = Metadata.from_json(written).recipe.text
            assert (wav, written) == (sound(text, SECONDS), metadata(text, SECONDS).to_json())
            texts.add(text)
    return texts


def leave_room(server: RedisServer, policy: str) -> None:
    """Bound the store: a hundred takes or two, and the connections."""
    with server.client() as client:
        used: Any = client.info("memory")
        client.config_set("maxmemory", used["used_memory"] + 400_000)
        client.config_set("maxmemory-policy", policy)


def test_what_is_rendered_is_a_hit_at_every_node(server: RedisServer, tmp_path: Path) -> None:
    job = render(server, Studios())
    assert (job.made, job.failed, job.left) == (700, 0, 0)
    for node in ("one", "another"):
        with closing(server_store(Settings(cache_dir=tmp_path / node))) as store:
            sharing = SharedStore(RedisLink(server.url, None), PREFIX, store)
            sharing.start()
            until(lambda: sharing.state == "ok")  # noqa: B023
            with closing(sharing):
                sharing.bring([key_of(TEXTS[0]), key_of(TEXTS[-1])])
                assert store.peek(key_of(TEXTS[-1])) == sound(TEXTS[-1], SECONDS)
                assert {phrase.key for phrase in store.phrases()} == {key_of(TEXTS[0]), key_of(TEXTS[-1])}


def test_a_render_that_was_stopped_goes_on(server: RedisServer) -> None:
    assert 0 < render(server, Studios(), stop_after=150).made < 700
    before = in_store(server)
    again = Studios()
    job = render(server, again)
    assert (job.cached, job.made) == (len(before), 700 - len(before))
    assert not again.made.keys() & before
    assert max(again.made.values()) == 1
    assert in_store(server) == set(TEXTS)


def test_what_a_node_has_made_stays(server: RedisServer) -> None:
    """Before the render, and while it makes the same phrase: the first take that all have is the one they keep."""
    others = {text: pack(b"another take", metadata(text).to_json()) for text in (TEXTS[0], TEXTS[5])}
    with server.client() as client:
        client.set(name_of(TEXTS[0]), others[TEXTS[0]])

        def meanwhile(text: str) -> bool:
            if text == TEXTS[5]:
                client.set(name_of(text), others[text])
            return False

        job = render(server, Studios(meanwhile))
        assert (job.cached, job.made) == (1, 699)
        for text, value in others.items():
            assert client.get(name_of(text)) == value


def test_a_full_store_ends_the_render(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        leave_room(server, "noeviction")
        with pytest.raises(OSError, match=r"^it is full$"):
            render(server, Studios())
        with server.client() as client:
            client.config_set("maxmemory", 0)
        before = in_store(server)
        assert 0 < len(before) < 700
        assert render(server, Studios()).cached == len(before)
        assert in_store(server) == set(TEXTS)


def test_a_store_that_lets_go_of_what_is_rendered_ends_the_render(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        leave_room(server, "allkeys-lru")
        with pytest.raises(OSError, match="for lack of room"):
            render(server, Studios())


def test_takes_of_others_may_be_let_go(tmp_path: Path) -> None:
    """A store in use is full, and what was not heard for longest makes room."""
    options = ("--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru", "--maxmemory-samples", "64")
    with RedisServer(tmp_path, *options) as server:
        with server.client() as client:
            for number in range(5000):
                client.set(f"old:{number}", bytes(2000))
            until(lambda: client.object("idletime", "old:4999") > 1)
        gone = []
        assert render(server, Studios(), at_end=lambda shelf: gone.append(shelf.gone())).made == 700
        assert gone == [0]


def test_what_is_gone_at_the_end_is_counted(server: RedisServer) -> None:
    def count(shelf: SharedShelf) -> None:
        assert shelf.gone() == 0
        with server.client() as client:
            client.delete(*(name_of(text) for text in TEXTS[100:103]))
        assert shelf.gone() == 3

    render(server, Studios(), at_end=count)
    assert render(server, Studios()).made == 3


def test_two_renders_into_one_store_are_refused(server: RedisServer) -> None:
    with closing(shelf_in(server)), pytest.raises(ConfigError, match="Another render writes to the shared store"):
        shelf_in(server)
    shelf_in(server).close()


def test_the_lock_of_a_driver_that_was_killed_runs_out(server: RedisServer) -> None:
    with server.client() as client:
        client.set(f"{PREFIX}:rendering", "killed", px=500)
    shelf_in(server).close()


def test_a_driver_that_lost_its_lock_to_another_stops(server: RedisServer) -> None:
    with server.client() as client, closing(shelf_in(server)) as shelf:
        client.set(f"{PREFIX}:rendering", "another")
        until(lambda: shelf._broken is not None)
        with pytest.raises(OSError, match="another render"):
            shelf.those_of([key_of(TEXTS[0])])


def test_a_store_that_hangs_for_a_moment_is_waited_for(server: RedisServer) -> None:
    def hang(text: str) -> bool:
        if text == TEXTS[300]:
            server.hang()
            threading.Timer(1.5, server.go_on).start()
        return False

    assert render(server, Studios(hang)).made == 700
    assert in_store(server) == set(TEXTS)


def test_a_store_that_is_gone_ends_the_render(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_shelf, "PATIENCE_S", 0.2)

    def kill(text: str) -> bool:
        if text == TEXTS[300]:
            server.kill()
        return False

    with pytest.raises(OSError, match="it cannot be reached"):
        render(server, Studios(kill))
    with pytest.raises(ConfigError, match=r"^MONICA_SHARED_STORE: it cannot be reached\.$"):
        shelf_in(server)
