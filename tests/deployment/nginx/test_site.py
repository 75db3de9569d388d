"""The site in front of a real Monica: TLS, access, limits, request ids, and what a client sees."""

from __future__ import annotations

import json
import re
import socket
import ssl
from pathlib import Path

import pytest
import requests

from monica.admission import MAX_BODY_BYTES
from monica.api.jobs import MAX_BODY_BYTES as MAX_BOOK_BYTES
from tests.deployment.nginx.site import NAME, OUTSIDE, Site
from tests.support.server import Server
from tests.support.wire import until

WARM = {"phrases": ["Le tournoi va commencer."], "dry_run": True}


def test_a_sentence_over_tls(site: Site) -> None:
    answers = [site.say("Rusmir relance à trois mille.") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].headers["X-Monica-Cache"] == "hit"
    assert answers[0].content[:4] == b"RIFF"
    assert answers[0].content == answers[1].content
    assert int(answers[0].headers["Content-Length"]) == len(answers[0].content)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions_of_tls(site: Site, certificate: Path, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=certificate / "fullchain.pem")
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", site.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"


def test_http2(site: Site) -> None:
    said = site.curl(
        "/blabla", "--http2", "--json", '{"text": "Bonsoir."}', "--write-out", "\n%{http_version} %{http_code}"
    )
    sound, _, told = said.stdout.rpartition(b"\n")
    assert told == b"2 200"
    assert sound[:4] == b"RIFF"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_plain_http_redirects_to_tls(site: Site, method: str) -> None:
    headers = {"Host": "evil.example"}
    answer = requests.request(
        method, f"{site.plain_url}/blabla?a=1", headers=headers, allow_redirects=False, timeout=20
    )
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"https://{NAME}/blabla?a=1"


def test_security_headers_are_on_every_answer(site: Site) -> None:
    for path, status in (("/health", 200), ("/nothing", 404), ("/docs", 200), ("/%", 400), ("/", 401), ("/salle", 401)):
        answer = site.curl(path, "--include").stdout.decode()
        assert f" {status} " in answer.splitlines()[0]
        assert re.findall(r"(?im)^server: (.*)\r$", answer) == ["nginx"]
        for name in ("strict-transport-security", "x-content-type-options", "content-security-policy"):
            assert len(re.findall(f"(?im)^{name}:", answer)) == 1


def test_docs_page_may_run_its_script(site: Site) -> None:
    policy = site.ask("GET", "/docs").headers["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-inline'" in policy
    assert "script-src" not in site.ask("GET", "/health").headers["Content-Security-Policy"]


def test_pages_for_people_say_themselves_what_they_may_load(site: Site) -> None:
    for path in ("/", "/salle", "/pages/regie.mjs"):
        headers = site.ask("GET", path).headers
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/docs/assets/swagger-ui.css", "/openapi.json"])
def test_local_network_may_read_internal_pages(site: Site, path: str) -> None:
    assert site.ask("GET", path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/metrics", "/metrics/", "//metrics", "/%6detrics", "/v1/../metrics", "/metrics?", "/metrics;a", "/metrics%20",
        "/docs", "/docs/", "/docs/assets/swagger-ui.css", "/./docs", "/openapi.json", "/openapi%2ejson",
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_outsiders_may_not_read_internal_pages(site: Site, path: str, version: str) -> None:
    spoofs = (
        "--header",
        "X-Forwarded-For: 127.0.0.1",
        "--header",
        "X-Real-IP: 127.0.0.1",
        "--header",
        "Host: localhost",
    )
    answer = site.curl(path, version, "--interface", OUTSIDE, *spoofs, "--write-out", "\n%{http_code}")
    body, _, status = answer.stdout.rpartition(b"\n")
    assert status == b"403"
    assert json.loads(body)["error"]["code"] == "forbidden"


def test_outsiders_may_speak(site: Site) -> None:
    for path in ("/health", "/health/live", "/v1/models"):
        assert site.curl(path, "--interface", OUTSIDE, "--fail").returncode == 0
    said = site.curl("/blabla", "--interface", OUTSIDE, "--fail", "--json", '{"text": "Bonsoir."}')
    assert said.stdout[:4] == b"RIFF"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost"},
        {"Host": "127.0.0.1:8080"},
        {"Host": "localhost", "X-Forwarded-For": "", "X-Forwarded-Proto": "", "X-Real-IP": ""},
        {"Host": "localhost", "Connection": "close, X-Forwarded-For, X-Forwarded-Proto, X-Real-IP"},
    ],
)
def test_requests_through_nginx_do_not_count_as_local(site: Site, server: Server, headers: dict[str, str]) -> None:
    assert (
        requests.post(f"{server.url}/v1/phrases/warm", json=WARM, headers=server.token(), timeout=20).status_code == 200
    )
    answer = site.ask("POST", "/v1/phrases/warm", json=WARM, headers=server.token() | headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


def test_a_sane_request_id_is_kept_and_another_is_not(site: Site) -> None:
    assert site.say("Bonsoir.", **{"X-Request-Id": "table-4.main_12"}).headers["X-Request-Id"] == "table-4.main_12"
    for wild in ("", "a b", "x" * 129, 'quote"brace}', "é"):
        given = site.ask("GET", "/health", headers={"X-Request-Id": wild.encode()}).headers["X-Request-Id"]
        assert re.fullmatch("[0-9a-f]{32}", given)


def test_log_is_json_with_the_cache_and_the_node(site: Site, server: Server) -> None:
    site.say("Anatole double.", **{"X-Request-Id": "logged-miss"})
    site.say("Anatole double.", **{"X-Request-Id": "logged-hit", "User-Agent": 'a "quoted\\ agent'})
    site.ask("POST", "/blabla?a=%22", data=b"x" * (MAX_BODY_BYTES + 1), headers={"X-Request-Id": "logged-refused"})
    site.ask("GET", "/blabla?seed=7&text=Anatole%20double", headers={"X-Request-Id": "logged-query"})
    names = [f"logged-{name}" for name in ("miss", "hit", "refused", "query")]
    until(lambda: {line["id"] for line in site.log(0)} >= set(names))
    lines = {line["id"]: line for line in site.log(0)}
    miss, hit, refused, query = (lines[name] for name in names)
    assert (miss["cache"], hit["cache"], refused["cache"]) == ("miss", "hit", "")
    assert (hit["engine"], hit["node"], hit["node_status"]) == ("espeak", f"127.0.0.1:{server.port}", "200")
    assert all(float(hit[name]) >= 0 for name in ("seconds", "node_connect", "node_first_byte", "node_seconds"))
    assert hit["agent"] == 'a "quoted\\ agent'
    assert (refused["status"], refused["node"]) == ("413", "")
    assert refused["request"] == "POST /blabla?a=%22 HTTP/1.1"
    assert query["request"] == "GET /blabla?... HTTP/1.1"
    assert "logged-hit" in server.log()
    assert "Anatole" not in json.dumps(lines)


def test_bodies_up_to_monicas_own_limits(site: Site) -> None:
    def post(path: str, size: int) -> tuple[int, str]:
        body = b'{"text": "%s"}' % (b"a" * (size - 12))
        answer = site.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
        return answer.status_code, answer.json()["error"]["code"]

    assert post("/blabla", MAX_BODY_BYTES) == (400, "text_too_long")
    assert post("/blabla", MAX_BODY_BYTES + 1) == (413, "body_too_large")
    assert post("/v1/audio/speech", MAX_BODY_BYTES + 1) == (413, "body_too_large")
    assert post("/v1/phrases/warm", MAX_BOOK_BYTES) == (403, "forbidden")
    assert post("/v1/phrases/warm", MAX_BOOK_BYTES + 1) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a b/\r\n\r\n", 400),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: monica\r\n\r\n", 414),
        (b"GET /health HTTP/1.1\r\nHost: monica\r\nA: " + b"a" * 9_000 + b"\r\n\r\n", 400),
        (b"GET /health HTTP/9.9\r\nHost: monica\r\n\r\n", 505),
        (b"TRACE /health HTTP/1.1\r\nHost: monica\r\nConnection: close\r\n\r\n", 405),
        (b"POST /blabla HTTP/1.1\r\nHost: monica\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /blabla HTTP/1.1\r\nHost: monica\r\nContent-Length: -1\r\n\r\n", 400),
    ],
)
def test_invalid_http_is_refused_in_monicas_shape(site: Site, certificate: Path, sent: bytes, status: int) -> None:
    context = ssl.create_default_context(cafile=certificate / "fullchain.pem")
    with (
        socket.create_connection(("127.0.0.1", site.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as secure,
    ):
        secure.sendall(sent)
        head, _, body = b"".join(iter(lambda: secure.recv(65536), b"")).partition(b"\r\n\r\n")
    assert head.split()[1] == str(status).encode()
    assert json.loads(body)["error"].keys() == {"code", "message", "param"}
    assert b"application/json" in head


def test_plain_http_on_the_tls_port_is_refused_in_monicas_shape(site: Site) -> None:
    answer = requests.get(f"http://127.0.0.1:{site.port}/health", timeout=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "http_invalid")
