"""What nginx passes on in both directions: headers, unbuffered streams, closed connections; and its own answers."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import pytest
import requests

from tests.deployment.nginx.conftest import Front
from tests.deployment.nginx.node import Call, Node
from tests.deployment.nginx.site import NAME, OUTSIDE
from tests.support.server import Server, free_port
from tests.support.system import program
from tests.support.wire import until

FIRST, REST = b"RIFF, the first word", b", and all that follows"
BODY = '{"text": "Bonsoir."}'
# The paths on which a stream can be requested.
STREAMS = pytest.mark.parametrize("path", ["/blabla?stream=1", "/v1/audio/speech"])


def test_node_is_told_the_address_nginx_saw_and_not_the_clients_claim(front: Front) -> None:
    lies = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host"), "6.6.6.6")
    with Node() as node:
        front(node.port).ask("GET", "/health", headers=lies | {"X-Forwarded-Proto": "http", "Host": NAME})
        (call,) = node.calls
    heard = {name.lower(): value for name, value in call.headers.items()}
    assert (heard["x-forwarded-for"], heard["x-real-ip"], heard["x-forwarded-proto"]) == ("127.0.0.1",) * 2 + ("https",)
    assert "6.6.6.6" not in heard.values()
    assert heard["host"] == NAME
    assert "connection" not in heard


def test_one_connection_to_a_node_serves_many_requests(front: Front) -> None:
    with Node() as node:
        site = front(node.port)
        with site.session() as session:
            for _ in range(5):
                assert session.post(f"{site.url}/blabla", data=BODY, timeout=20).text == BODY
        assert len(node.calls) == 5
        assert len({call.client_address for call in node.calls}) == 1


class Stream:
    """A node's answer whose rest waits until the first chunk has arrived."""

    def __init__(self) -> None:
        self.heard = threading.Event()

    def __call__(self, call: Call) -> None:
        call.begin_stream()
        call.chunk(FIRST)
        assert self.heard.wait(60)
        call.chunk(REST)
        call.chunk(b"")


@STREAMS
def test_first_chunk_arrives_before_the_second_is_made(front: Front, path: str) -> None:
    stream = Stream()
    with Node(stream) as node:
        site = front(node.port)
        with site.session() as session, session.post(site.url + path, data=BODY, stream=True, timeout=20) as answer:
            chunks = answer.iter_content(chunk_size=None)
            assert next(chunks) == FIRST  # if nginx waited for more, this would time out
            stream.heard.set()
            assert b"".join(chunks) == REST


@STREAMS
def test_first_chunk_arrives_before_the_second_over_http2(front: Front, certificate: Path, path: str) -> None:
    stream = Stream()
    with Node(stream) as node:
        site = front(node.port)
        command = [program("curl"), "--silent", "--http2", "--no-buffer", "--noproxy", "*", "--max-time", "20"]
        trust = ["--cacert", str(certificate / "fullchain.pem")]
        with subprocess.Popen([*command, *trust, "--data", BODY, site.url + path], stdout=subprocess.PIPE) as client:
            assert client.stdout is not None
            assert client.stdout.read(len(FIRST)) == FIRST
            stream.heard.set()
            assert client.stdout.read() == REST
        assert client.returncode == 0


def test_slow_reader_blocks_no_thread_of_monica(front: Front) -> None:
    sound, sent = bytes(32 * 2**20), threading.Event()  # more than the socket buffers hold

    def say(call: Call) -> None:
        call.reply(200, sound)
        sent.set()

    with Node(say) as node:
        site = front(node.port)
        with site.session() as session, session.post(f"{site.url}/blabla", stream=True, timeout=60) as answer:
            assert sent.wait(60)
            assert answer.content == sound


def break_off(call: Call) -> None:
    call.begin_stream()
    call.chunk(FIRST)
    call.hang_up()


@STREAMS
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_broken_stream_does_not_look_complete(front: Front, path: str, version: str) -> None:
    with Node(break_off) as node, Node(break_off) as other:
        answer = front(node.port, other.port).curl(path, version, "--data", BODY)
        assert answer.stdout == FIRST
        assert answer.returncode != 0
        assert len(node.calls + other.calls) == 1


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_node_notices_that_the_client_hung_up(front: Front, certificate: Path, version: str) -> None:
    gone = threading.Event()

    def notice(call: Call) -> None:
        call.wait_hang_up()
        gone.set()

    with Node(notice) as node:
        site = front(node.port)
        command = [
            program("curl"),
            "--silent",
            version,
            "--noproxy",
            "*",
            "--cacert",
            str(certificate / "fullchain.pem"),
        ]
        with subprocess.Popen([*command, "--data", BODY, f"{site.url}/blabla"]) as client:
            until(lambda: bool(node.calls))
            client.kill()
        assert gone.wait(60)
        (line,) = site.log(1)
        assert line["status"] == "499"


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503, 504])
def test_errors_of_monica_are_passed_on_unchanged(front: Front, status: int) -> None:
    with Node(lambda call: call.refuse(status, "of_the_node")) as node:
        answer = front(node.port).ask("POST", "/blabla", data=BODY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, "of_the_node")
        assert answer.headers["Retry-After"] == "7"
        assert len(node.calls) == 1


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/blabla", 20),
        ("/v1/phrases/warm", 100_000),
        ("/v1/phrases/bundle", 500_000),
        ("/metrics", 20),
        ("/nothing", 20),
    ],
)
def test_missing_node_is_reported_in_monicas_shape(front: Front, path: str, size: int) -> None:
    answer = front(free_port()).ask("POST", path, data=b"a" * size, headers={"X-Request-Id": "mine"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["X-Request-Id"] == "mine"
    assert answer.headers["Content-Type"] == "application/json"


def test_silent_node_becomes_a_missed_deadline(front: Front) -> None:
    with Node(Call.wait_hang_up) as node:
        site = front(node.port, changes={"proxy_read_timeout 40s;": "proxy_read_timeout 1s;"})
        answer = site.ask("POST", "/blabla", data=BODY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert len(node.calls) == 1


def test_flooding_client_is_limited_and_no_other_is(front: Front) -> None:
    with Node() as node:
        # One per minute, so that the duration of the test does not matter.
        site = front(node.port, changes={"rate=10r/s": "rate=1r/m"})
        with site.session() as session:
            answers = [session.post(f"{site.url}/blabla", data=BODY, timeout=20) for _ in range(45)]
            assert [answer.status_code for answer in answers] == [200] * 41 + [429] * 4
            assert answers[-1].json()["error"]["code"] == "too_many_requests"
            assert answers[-1].headers["Retry-After"] == "1"
            assert session.get(f"{site.url}/health", timeout=20).status_code == 200
            for path in ("/blabla?text=Tapis", "/v1/audio/speech"):  # speech by GET counts, too
                assert session.get(site.url + path, timeout=20).status_code == 429
        assert site.curl("/blabla", "--interface", OUTSIDE, "--data", BODY, "--fail").returncode == 0


@pytest.mark.parametrize("path", ["/v1/phrases/bundle", "/v1/audio/voices"])
def test_large_files_reach_monica(front: Front, path: str) -> None:
    whole = b"PK" + bytes(3 * 2**20)
    with Node(lambda call: call.reply(200, json.dumps(len(call.body)).encode())) as node:
        site = front(node.port)
        answer = site.ask("POST", path, data=whole)
        assert answer.json() == len(whole)


@pytest.mark.parametrize("path", ["/v1/phrases/bundle", "/v1/audio/voices"])
def test_client_gets_monicas_refusal_of_a_large_file(front: Front, server: Server, path: str) -> None:
    site = front(server.port)
    answer = site.ask("POST", path, data=bytes(5 * 2**20))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


def test_certbot_finds_its_file_over_plain_http(front: Front, tmp_path: Path) -> None:
    folder = tmp_path / "site" / "www" / ".well-known" / "acme-challenge"
    site = front(free_port())
    folder.mkdir(parents=True)
    (folder / "token").write_text("proof")
    assert requests.get(f"{site.plain_url}/.well-known/acme-challenge/token", timeout=20).text == "proof"
