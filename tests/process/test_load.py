"""Many clients, slow clients, and a process that ends in the middle of it all: every client gets its answer."""

from __future__ import annotations

import json
import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from tests.support.faulty import Faults
from tests.support.server import Server
from tests.support.wire import HEAD, ask, connect, listen, metric, request_for, until

CLIENTS = 30
PLACES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("load")


@pytest.fixture(scope="module")
def faults(folder: Path) -> Faults:
    return Faults(folder / "faults")


def settings(folder: Path, faults: Faults, **more: str) -> dict[str, str]:
    own = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(folder / "cache"), "MONICA_THREADS": "32"}
    return own | faults.settings | more


@pytest.fixture(scope="module")
def crowded(folder: Path, faults: Faults) -> Iterator[Server]:
    with Server(folder, settings(folder, faults, MONICA_QUEUE_SIZE=str(PLACES))) as server:
        yield server.wait_ready()
        assert "Traceback" not in server.log()


def unique() -> str:
    return f"Joueur {uuid.uuid4().hex[:8]}."


def health(server: Server) -> requests.Response:
    return requests.get(f"{server.url}/health", timeout=20)


def test_flood_is_refused_and_admitted_requests_are_answered(crowded: Server, faults: Faults) -> None:
    refused_before = metric(crowded, "monica_takes_total", outcome="refused")
    with faults.on("held"):
        clients = [ask(crowded, unique()) for _ in range(CLIENTS)]
        # One is in the engine, the others wait. One place fewer if they came before the engine took the first.
        until(lambda: metric(crowded, "monica_takes_total", outcome="refused") - refused_before >= CLIENTS - PLACES - 1)
        assert health(crowded).status_code == 200
    answers = [listen(client) for client in clients]
    for client in clients:
        client.close()
    statuses = Counter((answer.status, answer.code) for answer in answers)
    assert set(statuses) == {(200, None), (503, "overloaded")}
    assert PLACES <= statuses[200, None] <= PLACES + 1
    for answer in answers:
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
    assert crowded.say(unique()).status_code == 200


def test_thousands_of_identical_requests_make_one_take(crowded: Server) -> None:
    before = metric(crowded, "monica_takes_total", outcome="ok")
    body = json.dumps({"text": unique()})

    def ask_often(times: int) -> list[tuple[int, str, bytes]]:
        connection = HTTPConnection("127.0.0.1", crowded.port, timeout=60)
        answers = []
        for _ in range(times):
            connection.request("POST", "/blabla", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answers.append((answer.status, answer.headers["X-Monica-Cache"], answer.read()))
        connection.close()
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for some in pool.map(ask_often, [250] * 8) for answer in some]
    assert len(answers) == 2000
    assert {status for status, _, _ in answers} == {200}
    caches = Counter(cache for _, cache, _ in answers)
    assert caches["miss"] == 1
    assert set(caches) <= {"miss", "joined", "hit"}
    assert len({sound for _, _, sound in answers}) == 1
    assert metric(crowded, "monica_takes_total", outcome="ok") == before + 1


def test_slow_readers_do_not_block_other_clients(tmp_path: Path, faults: Faults) -> None:
    # Two hundred seconds of sound: more than the kernel buffers for a client that does not read.
    speech = unique() + "Pablo vient de se faire éliminer par Rusmir à la table numéro quatre. " * 50
    with Server(tmp_path, settings(tmp_path, faults, MAX_TEXT_LENGTH="5000")) as server:
        sound = server.wait_ready().say(speech).content
        slow = [connect_narrowly(server) for _ in range(16)]
        for connection in slow:
            connection.sendall(request_for(speech))
        for n in range(20):
            for connection in slow:
                assert len(connection.recv(1)) == 1
            assert server.say(f"Entre-temps, joueur {n}.", timeout=20).status_code == 200
        until(lambda: metric(server, "monica_takes_under_way") == 0)
        for connection in slow[1:]:
            connection.close()
        # Its first bytes have been read already; the rest ends with the sound.
        slow[0].shutdown(socket.SHUT_WR)
        rest = b"".join(iter(lambda: slow[0].recv(1 << 20), b""))
        assert rest.endswith(sound)
        slow[0].close()
        assert server.say(unique()).status_code == 200
        assert "Traceback" not in server.log()


def connect_narrowly(server: Server) -> socket.socket:
    """Connect with a small receive buffer, which must be set before connecting."""
    connection = socket.socket()
    connection.settimeout(60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    return connection


def test_shutdown_while_clients_wait_leave_and_send(tmp_path: Path, faults: Faults) -> None:
    with Server(tmp_path, settings(tmp_path, faults)) as server:
        server.wait_ready().say("Gardée.")
        idle = connect(server)
        idle.sendall(request_for("Gardée."))
        assert listen(idle).status == 200
        half_sent = connect(server)
        late = request_for("Trop tard.")
        half_sent.sendall(late[: len(HEAD) + 20])
        with faults.on("held"):
            waiting = [ask(server, f"Joueur {n // 2}.") for n in range(12)]  # each of them twice
            until(lambda: health(server).json()["queue_depth"] == 5)
            gone = [ask(server, unique()) for _ in range(4)]
            until(lambda: health(server).json()["queue_depth"] == 9)
            server.terminate()
            until(lambda: health(server).json()["status"] == "stopping")
            for connection in gone:
                connection.close()
            until(lambda: health(server).json()["queue_depth"] == 5)
            half_sent.sendall(late[len(HEAD) + 20 :])
            heard = listen(half_sent)
            assert (heard.status, heard.code) == (503, "shutting_down")
            idle.sendall(request_for("Gardée."))
            assert listen(idle).status == 200
            refused = server.say(unique())
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
            assert int(refused.headers["Retry-After"]) >= 1
        assert [listen(connection).status for connection in waiting] == [200] * 12
        assert server.wait_exit() == 0
        assert "Traceback" not in server.log()
        for connection in (idle, half_sent, *waiting):
            connection.close()


def test_client_that_never_reads_its_answer_releases_its_thread(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults", unread_s=1)
    more = {"MONICA_THREADS": "2", "MONICA_QUEUE_SIZE": "1", "MAX_TEXT_LENGTH": "5000"}
    with Server(tmp_path, settings(tmp_path, faults, **more)) as server:
        server.wait_ready()
        page = "Une phrase de plus pour remplir la page. " * 120
        assert len(server.say(page).content) > 8e6  # more than the kernel buffers
        deaf = []
        for _ in range(5):  # more than there are threads
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(request_for(page))
            deaf.append(connection)
        assert health(server).status_code == 200
        for connection in deaf:
            connection.close()
        assert "Traceback" not in server.log()
