"""Clients that hang up while their sentence is made: nothing of theirs remains, and no other client notices."""

from __future__ import annotations

import gc
import os
import select
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Timer

import psutil
import pytest
import requests

from monica.api.client import Client
from monica.errors import HungUp
from tests.support.faulty import Faults
from tests.support.server import Server
from tests.support.wire import ask, hang_up, listen, metric, request_for, reset, until

LONG = " ".join(f"Le joueur {n} vient de se faire éliminer par Rusmir à la table numéro quatre." for n in range(50))
SOON_S, NEVER_S = 0.05, 60.0

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture(params=["unix", "tcp", "tcp, non-blocking", "tcp, with a receive timeout"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """The server's end of a connection and the client's."""
    if request.param == "unix":
        here, there = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            there = socket.create_connection(listener.getsockname())
            here, _ = listener.accept()
        here.setblocking("non-blocking" not in request.param)
        if "timeout" in request.param:
            here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, b"\x0a" + bytes(15))
    with here, there:
        yield here, there


def later(do: Callable[[], object]) -> None:
    Timer(SOON_S, do).start()


def break_off(here: socket.socket, there: socket.socket) -> None:
    here.sendall(b"HTTP/1.1 200 OK")
    there.close()  # with unread bytes, which makes it a reset


LEAVING = [
    pytest.param(lambda here, there: there.close(), id="closes"),
    pytest.param(break_off, id="breaks off"),
    pytest.param(lambda here, there: there.shutdown(socket.SHUT_WR), id="closes its sending half"),
]


def test_sound_arrives_while_client_waits(ends: Ends) -> None:
    sound: Future[bytes] = Future()
    later(lambda: sound.set_result(b"sound"))
    Client(ends[0]).wait(sound, NEVER_S)
    assert sound.done()


def test_error_arrives_while_client_waits(ends: Ends) -> None:
    sound: Future[bytes] = Future()
    later(lambda: sound.set_exception(MemoryError()))
    Client(ends[0]).wait(sound, NEVER_S)
    assert sound.done()


def test_waiting_ends_after_the_given_time(ends: Ends) -> None:
    began = time.monotonic()
    Client(ends[0]).wait(Future(), SOON_S)
    assert time.monotonic() - began >= SOON_S / 2  # it did wait


@pytest.mark.parametrize("leave", LEAVING)
def test_client_has_hung_up(ends: Ends, leave: Callable[..., None]) -> None:
    leave(*ends)
    with pytest.raises(HungUp):
        Client(ends[0]).wait(Future(), NEVER_S)


@pytest.mark.parametrize("leave", LEAVING)
def test_client_hangs_up_while_waiting(ends: Ends, leave: Callable[..., None]) -> None:
    later(lambda: leave(*ends))
    with pytest.raises(HungUp):
        Client(ends[0]).wait(Future(), NEVER_S)


@pytest.mark.parametrize("leave", LEAVING)
def test_finished_sound_wins_over_a_hangup(ends: Ends, leave: Callable[..., None]) -> None:
    leave(*ends)
    sound: Future[bytes] = Future()
    sound.set_result(b"sound")
    Client(ends[0]).wait(sound, NEVER_S)


def test_finished_sound_needs_no_descriptor(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pipe", lambda: pytest.fail("a descriptor was opened"))
    sound: Future[bytes] = Future()
    sound.set_result(b"sound")
    Client(ends[0]).wait(sound, NEVER_S)


@pytest.mark.parametrize("early", [True, False])
def test_pipelined_request_stays_unread_and_causes_no_busy_waiting(ends: Ends, early: bool) -> None:
    here, there = ends
    sound: Future[bytes] = Future()
    (lambda do: do() if early else later(do))(lambda: there.sendall(b"POST"))
    Timer(6 * SOON_S, sound.set_result, [b"sound"]).start()
    busy = time.thread_time()
    Client(here).wait(sound, NEVER_S)
    assert time.thread_time() - busy < 3 * SOON_S
    assert sound.done()
    assert here.recv(100) == b"POST"


@pytest.mark.parametrize("gone", [True, False])
def test_late_sound_wakes_no_other_connection(ends: Ends, gone: bool, caplog: pytest.LogCaptureFixture) -> None:
    """By then the descriptors used for waiting may have been reused by other connections."""
    here, there = ends
    sound: Future[bytes] = Future()
    try:
        later(there.close if gone else lambda: None)
        Client(here).wait(sound, 2 * SOON_S)
    except HungUp:
        assert gone
    others = [end for _ in range(8) for end in socket.socketpair()]
    sound.set_result(b"sound")
    assert select.select(others, [], [], 0)[0] == []
    assert caplog.records == []  # concurrent.futures logs callbacks that fail
    for end in others:
        end.close()


def test_no_descriptor_leaks(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    here, there = ends
    gc.collect()  # or what earlier tests left open is closed while this one counts
    before = len([*Path("/dev/fd").iterdir()])
    done = 0
    with ThreadPoolExecutor(1) as engine:
        for n in range(1000):
            sound: Future[bytes] = Future()
            engine.submit(time.sleep, 0.0005 * (n % 3))
            engine.submit(sound.set_result, b"sound")
            Client(here).wait(sound, 0.001)
            done += sound.done()
        there.close()
        for _ in range(100):
            with pytest.raises(HungUp):
                Client(here).wait(Future(), NEVER_S)
    assert 0 < done < 1000  # they raced
    assert len([*Path("/dev/fd").iterdir()]) == before - 1  # `there`
    assert caplog.records == []


def test_client_that_cannot_be_watched_is_waited_for() -> None:
    here, there = socket.socketpair()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_socket(here, server_side=True, do_handshake_on_connect=False)
    there.close()
    with tls:
        for client in (Client(tls), Client.of({})):
            began = time.monotonic()
            client.wait(Future(), SOON_S)
            assert time.monotonic() - began >= SOON_S / 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hangup")


@pytest.fixture(scope="module")
def faults(folder: Path) -> Faults:
    return Faults(folder / "faults")


@pytest.fixture(scope="module")
def faulty(folder: Path, faults: Faults) -> Iterator[Server]:
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(folder / "cache")}
    settings |= {"MAX_TEXT_LENGTH": "5000"}
    with Server(folder, settings | faults.settings) as server:
        yield server.wait_ready()


@pytest.fixture(autouse=True)
def _other_clients_notice_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "faulty" in request.fixturenames:
        server: Server = request.getfixturevalue("faulty")
        assert server.say(unique()).status_code == 200
        assert not {"Traceback", "ERROR"} & {*server.log().split()}
        assert requests.get(f"{server.url}/health", timeout=20).json()["failures_in_a_row"] == 0


def unique() -> str:
    return f"Joueur {uuid.uuid4().hex[:8]}."


def abandoned(server: Server) -> float:
    return metric(server, "monica_takes_total", outcome="abandoned")


def gone(server: Server) -> float:
    return metric(server, "monica_request_duration_seconds_count", endpoint="/blabla", status="499")


def lookups(server: Server) -> float:
    return metric(server, "monica_cache_lookups_total", cache="takes", result="miss")


def wait_under_way(server: Server) -> None:
    until(lambda: metric(server, "monica_takes_under_way") == 1)


@pytest.mark.parametrize(
    "leave", [hang_up, reset, lambda connection: connection.shutdown(socket.SHUT_WR)], ids=["close", "reset", "half"]
)
def test_hanging_up_abandons_the_take(faulty: Server, faults: Faults, leave: Callable[[socket.socket], None]) -> None:
    before, gone_before, lines = abandoned(faulty), gone(faulty), faulty.log().count("POST /blabla 499 ")
    with faults.on("held"):
        connection = ask(faulty, unique())
        wait_under_way(faulty)
        leave(connection)
        until(lambda: abandoned(faulty) == before + 1)
        until(lambda: gone(faulty) == gone_before + 1)
    assert faulty.log().count("POST /blabla 499 ") == lines + 1
    connection.close()


def test_hangup_is_noticed_on_a_reused_connection(faulty: Server, faults: Faults) -> None:
    before = abandoned(faulty)
    connection = ask(faulty, unique())
    assert listen(connection).status == 200
    with faults.on("held"):
        connection.sendall(request_for(unique()))
        wait_under_way(faulty)
        connection.close()
        until(lambda: abandoned(faulty) == before + 1)


def test_hangup_abandons_every_sentence_of_a_text(faulty: Server, faults: Faults) -> None:
    before = abandoned(faulty)
    text = unique() + LONG
    sentences = requests.post(f"{faulty.url}/v1/text", json={"text": text}, timeout=20).json()["sentences"]
    assert len(set(sentences)) == len(sentences) > 10
    with faults.on("held"):
        connection = ask(faulty, text)
        wait_under_way(faulty)
        connection.close()
        until(lambda: abandoned(faulty) == before + len(sentences))


@pytest.mark.parametrize("first_leaves", [True, False])
def test_take_continues_for_the_remaining_client(faulty: Server, faults: Faults, first_leaves: bool) -> None:
    before, gone_before, looked_up, text = abandoned(faulty), gone(faulty), lookups(faulty), unique()
    with faults.on("held"):
        first = ask(faulty, text)
        wait_under_way(faulty)
        second = ask(faulty, text)
        until(lambda: lookups(faulty) == looked_up + 2)
        time.sleep(0.2)  # time to join the take after the lookup, which nothing reports
        leaves, stays = (first, second) if first_leaves else (second, first)
        leaves.close()
        until(lambda: gone(faulty) == gone_before + 1)
        wait_under_way(faulty)
    answer = listen(stays)
    stays.close()
    assert (answer.status, answer.headers["X-Monica-Cache"]) == (200, "joined" if first_leaves else "miss")
    assert abandoned(faulty) == before


def test_pipelining_client_gets_both_answers(faulty: Server, faults: Faults) -> None:
    with faults.on("held"):
        connection = ask(faulty, unique())
        wait_under_way(faulty)
        connection.sendall(request_for(unique()))
        time.sleep(0.1)
    assert [listen(connection).status, listen(connection).status] == [200, 200]
    connection.close()


def test_hanging_up_releases_the_thread_and_descriptors(faulty: Server, faults: Faults) -> None:
    (worker,) = psutil.Process(faulty.process.pid).children()
    left = []
    for _ in range(2):  # in the first round each thread opens the cache's files
        with faults.on("held"):
            for _ in range(10):
                connections = [ask(faulty, unique()) for _ in range(4)]
                time.sleep(0.05)  # all four are waiting now
                for connection in connections:
                    connection.close()
                assert requests.get(f"{faulty.url}/health", timeout=20).status_code == 200
            until(lambda: metric(faulty, "monica_takes_under_way") == 0)
        time.sleep(0.3)  # for the server to see the last connections closed
        left.append(worker.num_fds())
    assert left[1] <= left[0] + 4  # forty clients hung up in between
