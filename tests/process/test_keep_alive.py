"""The next request on a connection is served, or the answer before it has said that the connection closes."""

from __future__ import annotations

import json
import subprocess

import httpx2
import pytest
import requests

from monica.admission import MAX_BODY_BYTES
from tests.support.server import Server
from tests.support.system import program
from tests.support.wire import connect, listen, request_for

AGENT = """
const http = require("node:http");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const [port, path] = process.argv.slice(1);
const post = (path, body) => new Promise((resolve) => {
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  const request = http.request({ port, path, method: "POST", headers, agent, host: "127.0.0.1" }, (answer) => {
    answer.resume();
    answer.on("end", () => setImmediate(() => resolve(answer.statusCode)));
  });
  request.on("error", (error) => resolve(error.code));
  request.end(body);
});
(async () => {
  const found = [];
  for (let n = 0; n < 60; n++) {
    await post(path, "x".repeat(70000));
    found.push(await post("/blabla", JSON.stringify({ text: "Bonsoir." })));
  }
  console.log(JSON.stringify(found));
})();
"""
FETCH = """
const [port, path] = process.argv.slice(1);
const post = async (path, body) => {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", headers, body });
  await answer.arrayBuffer();
  return answer.status;
};
(async () => {
  const found = [];
  for (let n = 0; n < 60; n++) {
    await post(path, "x".repeat(70000)).catch(() => 0);
    found.push(await post("/blabla", JSON.stringify({ text: "Bonsoir." })).catch((error) => String(error.cause)));
  }
  console.log(JSON.stringify(found));
})();
"""


@pytest.mark.parametrize("script", [AGENT, FETCH], ids=["http.Agent", "undici"])
@pytest.mark.parametrize("path", ["/blabla", "/nowhere"])
def test_next_request_of_node_is_served(server: Server, script: str, path: str) -> None:
    done = subprocess.run([program("node"), "-e", script, str(server.port), path], capture_output=True, timeout=120)
    assert json.loads(done.stdout) == [200] * 60, done.stderr


def test_next_request_of_python_is_served(server: Server) -> None:
    with requests.Session() as session:
        for _ in range(20):
            refused = session.post(f"{server.url}/blabla", json={"text": "x" * 70_000}, timeout=20)
            assert (refused.status_code, refused.headers["Connection"]) == (413, "close")
            assert session.post(f"{server.url}/blabla", json={"text": "Bonsoir."}, timeout=20).status_code == 200


def test_next_request_of_httpx_is_served(server: Server) -> None:
    """The client under OpenAI's SDK, whose pool tells a connection that closes in its own way."""
    with httpx2.Client(timeout=20) as session:
        for _ in range(20):
            refused = session.post(f"{server.url}/blabla", json={"text": "x" * 70_000})
            assert (refused.status_code, refused.headers["Connection"]) == (413, "close")
            assert session.post(f"{server.url}/blabla", json={"text": "Bonsoir."}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/blabla", 413),
        ("POST", "/nowhere", 404),
        ("DELETE", "/blabla", 405),
        ("GET", "/health", 200),
        ("POST", "/v1/phrases/bundle", 422),
    ],
)
@pytest.mark.parametrize("size", [100, MAX_BODY_BYTES, 10 * MAX_BODY_BYTES])
def test_answer_says_whether_the_connection_closes(
    server: Server, method: str, path: str, status: int, size: int
) -> None:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in server.token().items())
    with connect(server) as connection:
        connection.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode() + bytes(size))
        heard = listen(connection)
        assert heard.status == (422 if path == "/blabla" and method == "POST" and size <= MAX_BODY_BYTES else status)
        if size > MAX_BODY_BYTES:
            assert heard.headers["Connection"] == "close"
            assert connection.recv(1) == b""
        else:
            assert heard.headers["Connection"] == "keep-alive"
            connection.sendall(request_for("Bonsoir."))
            assert listen(connection).status == 200


@pytest.mark.parametrize("path", ["/blabla", "/v1/audio/speech", "/v1/text"])
@pytest.mark.parametrize("extra", [1, 2**20])
def test_chunked_body_over_the_limit_is_refused(server: Server, path: str, extra: int) -> None:
    """Up to the limit it is a whole JSON object, which would be accepted if the rest were cut."""
    body = b'{"text": "Bonsoir."}'.ljust(MAX_BODY_BYTES) + b" " * extra
    pieces = iter([body[:1000], body[1000:]])
    with requests.Session() as session:
        headers = {"Content-Type": "application/json"}
        answer = session.post(server.url + path, data=pieces, headers=headers, timeout=20)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
        assert session.post(f"{server.url}/blabla", json={"text": "Bonsoir."}, timeout=20).status_code == 200
    whole = requests.post(f"{server.url}/v1/text", data=iter([body[:MAX_BODY_BYTES]]), headers=headers, timeout=20)
    assert whole.status_code == 200
