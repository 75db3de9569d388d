"""Nodes that share a store: real Services with toy engines on a real redis-server, which hangs, dies and lies."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from prometheus_client import REGISTRY

from monica.config import Settings
from monica.errors import ConfigError, SynthesisFailed
from monica.service import Service
from monica.speech import Announcement, SpeechRequest
from monica.store import redis_link, shared
from monica.store.envelope import pack, unpack
from monica.store.recipe import Recipe
from monica.synthesis.take import Lane, block
from monica.warming.remake import remake
from tests.conftest import started
from tests.store.redis_server import RedisServer
from tests.support.engines import ToyEngine
from tests.support.kept import metadata, sound
from tests.support.wire import until

TEXT = "Rusmir relance."
Start = Callable[..., "Node"]


class Node:
    """A service with a toy engine and a cache of its own."""

    def __init__(self, settings: Settings) -> None:
        self.toy = ToyEngine()
        self.service = started(settings, self.toy)
        self.service._sharing.start()

    def say(self, text: str = TEXT, **how: Any) -> Announcement:
        return self.service.announcer.announce(replace(SpeechRequest(text), **how))

    @property
    def state(self) -> str | None:
        state: str | None = self.service.health.report()["shared_store"]
        return state

    def keys(self, **of: Any) -> set[str]:
        phrases = self.service.catalogue.phrases()
        return {each.key for each in phrases if all(getattr(each, name) == value for name, value in of.items())}

    def sent(self) -> None:
        """Wait until the store has what this node shares."""
        self.service._sharing.flush(60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A store that the test may break."""
    with RedisServer(tmp_path) as server:
        yield server
        server.go_on()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer than a served request would: the machine of the tests may be busy with others."""
    for name in ("READ_S", "CONNECT_S", "WORK_S"):
        monkeypatch.setattr(redis_link, name, 20.0)
    draws = itertools.count(1)
    monkeypatch.setattr(Recipe, "derived_seed", 0)  # of the toy engine's sounds there are seven
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(draws))
    monkeypatch.setattr(redis_link, "PAUSE_S", 0.05)
    monkeypatch.setattr(redis_link, "MAX_PAUSE_S", 0.05)
    monkeypatch.setattr(shared, "LISTEN_S", 0.05)


@pytest.fixture
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    nodes: list[Node] = []

    def start(server: RedisServer, name: str = "", *, wait: bool = True, **settings: Any) -> Node:
        made = Settings(
            engine="espeak",
            cache_dir=tmp_path / (name or f"node-{len(nodes)}"),
            shared_store=server.url,
            shared_store_prefix=request.node.name,
        )
        nodes.append(Node(replace(made, **settings)))
        if wait:
            until(lambda: nodes[-1].state == "ok")
        return nodes[-1]

    yield start
    for each in nodes:
        each.toy.gate.set()
        each.service.close()


def operations(operation: str, result: str) -> float:
    labels = {"operation": operation, "result": result}
    return REGISTRY.get_sample_value("monica_shared_store_operations_total", labels) or 0.0


# --- What nodes share ---


def test_phrase_made_by_one_node_is_a_hit_at_the_other(server: RedisServer, node: Start) -> None:
    one, other = node(server), node(server)
    made = one.say(fresh=True)  # with a drawn seed, so that the other could not make the same
    one.sent()
    heard = other.say()
    assert (heard.source, heard.key, heard.wav) == ("hit", made.key, made.wav)
    assert (one.toy.spoken, other.toy.spoken) == ([TEXT], [])
    one.service._sharing.close()
    assert other.say().source == "hit"


def test_same_phrase_asked_for_at_two_nodes_at_once_is_made_once(server: RedisServer, node: Start) -> None:
    nodes = [node(server), node(server)]
    for each in nodes:
        each.toy.gate.clear()
    taken = operations("claim", "taken")
    with ThreadPoolExecutor(20) as pool:
        said = [pool.submit(nodes[n % 2].say) for n in range(20)]
        until(lambda: operations("claim", "taken") > taken)
        for each in nodes:
            each.toy.gate.set()
        heard = [future.result() for future in said]
    assert sum(len(each.toy.spoken) for each in nodes) == 1
    assert len({each.wav for each in heard}) == 1
    assert {each.source for each in heard} <= {"miss", "joined", "hit"}


def test_claim_is_renewed_for_as_long_as_the_take_lasts(server: RedisServer, node: Start) -> None:
    one, other = node(server), node(server)
    one.toy.gate.clear()
    with ThreadPoolExecutor(2) as pool, server.client() as client:
        making = pool.submit(one.say)
        assert one.toy.began.acquire(timeout=60)
        (name,) = client.keys("*:making:*")
        waiting = pool.submit(other.say)
        left: list[Any] = [client.pttl(name)]

        def is_renewed() -> bool:
            left.append(client.pttl(name))
            return bool(left[-1] > left[-2])

        until(is_renewed)
        one.toy.gate.set()
        assert making.result().wav == waiting.result().wav
    assert other.toy.spoken == []


def test_take_that_fails_at_one_node_is_made_by_the_one_that_waits(server: RedisServer, node: Start) -> None:
    one, other = node(server), node(server)
    one.toy.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(one.say)
        assert one.toy.began.acquire(timeout=60)
        waiting = pool.submit(other.say)
        one.toy.fail_with = SynthesisFailed("no numbers")
        one.toy.gate.set()
        assert isinstance(failing.exception(), SynthesisFailed)
        assert waiting.result().wav
    assert other.toy.spoken == [TEXT]


def test_live_request_does_not_wait_for_a_background_take_elsewhere(server: RedisServer, node: Start) -> None:
    one, other = node(server), node(server)
    one.toy.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        warming = pool.submit(one.say, lane=Lane.BACKGROUND)
        assert one.toy.began.acquire(timeout=60)
        assert other.say().source == "miss"
        one.toy.gate.set()
        warming.result()


def test_claim_of_a_node_that_was_killed_runs_out(
    server: RedisServer, node: Start, request: pytest.FixtureRequest
) -> None:
    other = node(server)
    key = other.service.announcer.key_of(SpeechRequest(TEXT))
    with server.client() as client:
        client.set(f"{request.node.name}:making:{key}", b"live:gone", px=500)
    assert other.say().wav
    assert other.toy.spoken == [TEXT]


def test_pages_are_put_together_of_what_others_made(server: RedisServer, node: Start) -> None:
    page = " ".join(f"La phrase numéro {n} de la page est assez longue pour être dite toute seule." for n in range(5))
    one, other = node(server), node(server)
    made = one.say(page)
    one.sent()
    assert other.say(page).wav == made.wav
    assert other.toy.spoken == []


# --- What is done to kept phrases holds everywhere ---


def test_new_take_replaces_the_old_one_everywhere(server: RedisServer, node: Start) -> None:
    one, other = node(server), node(server)
    old = one.say()
    one.sent()
    assert other.say().wav == old.wav
    new = one.say(fresh=True)
    assert new.wav != old.wav
    until(lambda: not other.keys(key=old.key))
    assert (other.say().wav, other.toy.spoken) == (new.wav, [])


def test_remake_holds_everywhere(server: RedisServer, node: Start) -> None:
    one, other = node(server), node(server)
    one.say()
    one.sent()
    old = other.say()
    (phrase,) = one.service.catalogue.phrases()
    remake(one.service.announcer, one.service.catalogue, phrase, block)
    new = one.say()
    assert new.wav != old.wav
    until(lambda: other.say().wav == new.wav)
    assert other.toy.spoken == []


def test_new_page_replaces_the_old_one_everywhere(server: RedisServer, node: Start) -> None:
    page = " ".join(f"La phrase numéro {n} de la page est assez longue pour être dite toute seule." for n in range(5))
    one, other = node(server), node(server)
    old = one.say(page)
    one.sent()
    assert other.say(page).wav == old.wav
    new = one.say(page, fresh=True)
    one.sent()
    until(lambda: other.say(page).wav == new.wav)
    assert other.toy.spoken == []


def test_take_that_is_chosen_or_imported_is_kept_everywhere(server: RedisServer, node: Start) -> None:
    one, other = node(server), node(server)
    one.say()
    one.sent()
    other.say()
    (phrase,) = one.service.catalogue.phrases()
    chosen = sound("une autre prise")
    assert one.service.catalogue.put(phrase.key, chosen, phrase.metadata())
    until(lambda: other.say().wav == chosen)
    assert other.toy.spoken == []


def test_removal_and_pins_hold_everywhere(server: RedisServer, node: Start, request: pytest.FixtureRequest) -> None:
    one, other = node(server), node(server)
    said = one.say()
    one.sent()
    assert said.key is not None
    other.service.catalogue.pin(other.service.catalogue.find_by_prefix([said.key]))  # only the first node has it
    until(lambda: one.keys(pinned=True) == {said.key})
    late = node(server)
    assert late.say().source == "hit"
    until(lambda: late.keys(pinned=True) == {said.key})
    other.service.catalogue.unpin(other.service.catalogue.phrases())
    until(lambda: not one.keys(pinned=True) and not late.keys(pinned=True))
    one.service.catalogue.remove(one.service.catalogue.phrases())
    until(lambda: not other.keys() and not late.keys())
    with server.client() as client:
        assert not client.exists(f"{request.node.name}:take:{said.key}")


def test_removed_phrase_does_not_come_back_from_the_store(
    server: RedisServer, node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = node(server)
    one.say()
    one.sent()
    sharing: Any = one.service._sharing
    monkeypatch.setattr(sharing, "_tell", lambda change, key: None)  # the store is slow to hear of it
    one.service.catalogue.remove(one.service.catalogue.phrases())
    assert one.say().source == "miss"


def test_change_made_while_the_store_is_away_is_told_when_it_is_back(own_server: RedisServer, node: Start) -> None:
    one, other = node(own_server), node(own_server)
    old = one.say()
    one.sent()
    other.say()
    own_server.kill()
    until(lambda: one.state != "ok" and other.state != "ok")
    new = one.say(fresh=True)
    own_server.start()
    until(lambda: one.state == "ok" and other.state == "ok")
    until(lambda: other.say().wav == new.wav)
    assert (old.wav != new.wav, other.toy.spoken) == (True, [])


# --- A store that is hung, gone, full, closed or lying ---


@pytest.mark.parametrize("fault", ["hang", "kill"])
def test_hung_or_dead_store_costs_hits_and_nothing_else(
    own_server: RedisServer, node: Start, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "READ_S", 0.2)
    monkeypatch.setattr(redis_link, "WORK_S", 0.5)
    one = node(own_server, wait=False)
    until(lambda: one.state == "ok")
    kept = one.say()
    getattr(own_server, fault)()
    until(lambda: one.state in ("it does not answer in time", "it cannot be reached"))
    assert REGISTRY.get_sample_value("monica_shared_store_up") == 0
    skipped = operations("read", "skipped")
    assert one.say().wav == kept.wav
    assert one.say("Une autre.").source == "miss"
    assert operations("read", "skipped") > skipped, "the store was asked although it was known to be away"
    assert one.service.health.report()["status"] == "ok"
    own_server.go_on() if fault == "hang" else own_server.start()
    until(lambda: one.state == "ok")


def test_first_request_that_meets_a_hung_store_is_answered(
    own_server: RedisServer, node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "READ_S", 0.05)
    monkeypatch.setattr(shared, "LISTEN_S", 5.0)  # so that it is the request that meets it
    one = node(own_server)
    own_server.hang()
    assert one.say().source == "miss"
    assert one.state == "it does not answer in time"


def test_node_that_waits_for_another_goes_on_without_the_store(own_server: RedisServer, node: Start) -> None:
    one, other = node(own_server), node(own_server)
    one.toy.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        making = pool.submit(one.say)
        assert one.toy.began.acquire(timeout=60)
        waiting = pool.submit(other.say)
        until(lambda: bool(other.service._elsewhere._takes))
        own_server.kill()
        assert waiting.result().source == "joined"
        one.toy.gate.set()
        making.result()
    assert other.toy.spoken == [TEXT]


def test_full_store_is_said_and_what_it_has_is_still_used(own_server: RedisServer, node: Start) -> None:
    one, other = node(own_server), node(own_server)
    first = one.say(fresh=True)
    one.sent()
    with own_server.client() as client:
        client.config_set("maxmemory", "1mb")
        client.config_set("maxmemory-policy", "noeviction")
        assert one.say("Trop pour ce qui reste.").source == "miss"
        one.sent()
        assert one.state == "it is full"
        assert other.say().wav == first.wav
        client.config_set("maxmemory", "0")
    one.say("Encore une.")
    one.sent()
    assert one.state == "ok"


def test_values_that_are_rubbish_are_misses(
    server: RedisServer, node: Start, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    one = node(server)
    prefix, wav = request.node.name, sound("Bonjour.")
    texts = [f"Phrase {n}." for n in range(6)]
    keys = [one.service.announcer.key_of(SpeechRequest(text)) for text in texts]
    good = pack(wav, metadata("Bonjour.").to_json())
    with server.client() as client:
        for key, value in zip(
            keys, [b"rubbish", good[:-1], good, b"MONICA1" + bytes(40), b"\x80\x04K\x01."], strict=False
        ):
            client.set(f"{prefix}:take:{key}", value)
        client.rpush(f"{prefix}:take:{keys[5]}", "a list")
        client.xadd(f"{prefix}:changes", {"change": "remove", "key": "../" * 10, b"\xff": b"\xff"})
        corrupt = operations("read", "corrupt")
        assert [one.say(text).source for text in texts] == ["miss"] * 6
        assert operations("read", "corrupt") >= corrupt + 6
        one.sent()
        assert client.get(f"{prefix}:take:{keys[0]}").startswith(b"MONICA1")
    assert len(one.toy.spoken) == len(texts)
    assert "cannot be used" in caplog.text
    assert one.state == "ok"


def test_envelope_holds_what_was_packed() -> None:
    made_of = metadata("Bonjour.")
    value = pack(b"RIFF", made_of.to_json())
    assert unpack(value, made_of.recipe.key) == (b"RIFF", made_of.to_json())
    for wrong in (value[:-1], value + b"x", b"", value[:50], value.replace(b"RIFF", b"RIFX")):
        with pytest.raises(ValueError):
            unpack(wrong, made_of.recipe.key)
    with pytest.raises(ValueError):
        unpack(value, "0" * 64)


def test_two_clusters_on_one_store_share_nothing(server: RedisServer, node: Start) -> None:
    one, other = node(server, shared_store_prefix="salle"), node(server, shared_store_prefix="bar")
    one.say()
    one.sent()
    assert other.say().source == "miss"
    one.service.catalogue.remove(one.service.catalogue.phrases())
    one.sent()
    assert other.say().source == "hit"


def test_node_with_another_checkpoint_has_its_own_takes(server: RedisServer, node: Start) -> None:
    one, other = node(server), node(server)
    other.toy.fingerprint = "toy 2"
    one.say()
    one.sent()
    assert other.say().source == "miss"


def test_clock_that_is_an_hour_off_changes_nothing(
    server: RedisServer, node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = node(server), node(server)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + (3600 if threading.current_thread().name == "ahead" else 0))
    heard = []

    def ahead() -> None:
        heard.append(one.say(fresh=True))

    thread = threading.Thread(target=ahead, name="ahead")
    thread.start()
    thread.join()
    one.sent()
    assert other.say().wav == heard[0].wav
    other.service.catalogue.remove(other.service.catalogue.phrases())
    until(lambda: not one.keys())


def test_wrong_password_is_said_and_a_file_may_hold_the_right_one(tmp_path: Path, node: Start) -> None:
    with RedisServer(tmp_path, "--requirepass", "sesame") as server:
        wrong = node(server, shared_store=f"redis://:guess@127.0.0.1:{server.port}", wait=False)
        until(lambda: wrong.state == "it refuses the password")
        assert wrong.say().source == "miss"
        (tmp_path / "password").write_text("sesame\n")
        right = node(server, shared_store_password_file=tmp_path / "password")
        right.say("Bonsoir.")
        right.sent()
        with redis.Redis(port=server.port, password="sesame", socket_timeout=60) as client:
            assert len(client.keys("*:take:*")) == 1


@pytest.mark.parametrize("url", ["store:6379", "http://store", "redis://store:port", ""])
def test_wrong_address_stops_the_start_in_one_line(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="MONICA_SHARED_STORE is not an address"):
        Service(Settings(engine="espeak", cache_dir=tmp_path, shared_store=url), ToyEngine())


def test_password_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(
        engine="espeak", cache_dir=tmp_path, shared_store="redis://x", shared_store_password_file=tmp_path / "none"
    )
    with pytest.raises(ConfigError, match="PASSWORD_FILE"):
        Service(settings, ToyEngine())


def test_password_is_not_shown() -> None:
    assert "sesame" not in repr(Settings(shared_store="redis://:sesame@store"))
