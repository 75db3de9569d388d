"""Authentication over HTTP: with an API key, and without one."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from monica import create_app
from monica.cli.remote import Remote
from monica.config import Settings
from monica.errors import ConfigError
from monica.this_machine import ensure_token, read_token
from tests.conftest import local_client, started
from tests.support.engines import ToyEngine
from tests.support.server import Server, run_to_failure

KEY = "Bourly-2026/une+clef=bien~longue"
BODY = {"phrases": ["Tapis !"]}


def client_of(settings: Settings) -> Iterator[FlaskClient]:
    service = started(settings, ToyEngine())
    yield local_client(create_app(service=service))
    service.close()


@pytest.fixture
def open_client(tmp_path: Path) -> Iterator[FlaskClient]:
    yield from client_of(Settings(engine="espeak", cache_dir=tmp_path))


@pytest.fixture
def locked_client(tmp_path: Path) -> Iterator[FlaskClient]:
    yield from client_of(Settings(engine="espeak", cache_dir=tmp_path, api_key=KEY))


def post(client: FlaskClient, host: str = "127.0.0.1:8080", address: str = "127.0.0.1", **headers: str) -> int:
    """Submit a job and return the status. A refusal must have the common error shape."""
    answer = client.post(
        "/v1/phrases/warm",
        json=BODY,
        headers={name.replace("_", "-"): value for name, value in headers.items()} | {"Host": host},
        environ_overrides={"REMOTE_ADDR": address},
    )
    jobs = len(client.get("/v1/jobs").get_json()["jobs"])
    if answer.status_code == 401:
        assert answer.get_json()["error"]["code"] == "unauthorized"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    if answer.status_code == 403:
        assert answer.get_json()["error"]["code"] == "forbidden"
    assert jobs == (answer.status_code == 202)
    return answer.status_code


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1:8080", "127.0.0.1"),
        ("localhost:8080", "127.0.0.1"),
        ("LocalHost", "127.255.255.254"),
        ("[::1]:8080", "::1"),
        ("[::1]", "::ffff:127.0.0.1"),
    ],
)
def test_without_a_key_this_machine_is_allowed(open_client: FlaskClient, host: str, address: str) -> None:
    assert post(open_client, host, address) == 202


@pytest.mark.parametrize(
    "address",
    ["192.168.1.20", "10.0.0.1", "8.8.8.8", "::2", "fe80::1", "::ffff:192.168.1.20", "0.0.0.0", "", "unix:", "127.1"],
)
def test_without_a_key_no_other_machine_is_allowed(open_client: FlaskClient, address: str) -> None:
    assert post(open_client, address=address) == 403


@pytest.mark.parametrize(
    "name",
    ["Forwarded", "X_Forwarded_For", "X_Forwarded_Host", "X_Forwarded_Proto", "X_Forwarded_Prefix", "X_Real_IP", "Via"],
)
@pytest.mark.parametrize("value", ["127.0.0.1", "", "for=127.0.0.1"])
def test_proxied_request_does_not_count_as_this_machine(open_client: FlaskClient, name: str, value: str) -> None:
    assert post(open_client, **{name: value}) == 403


@pytest.mark.parametrize(
    "host",
    ["monica.bourlypokertour.fr", "evil.example:8080", "127.0.0.1.evil.example", "192.168.1.20", "[::2]:80", "[x"],
)
def test_foreign_host_name_does_not_count_as_this_machine(open_client: FlaskClient, host: str) -> None:
    """A proxy that does not name its client, or a web page whose name resolves to this address."""
    assert post(open_client, host=host) == 403


@pytest.mark.parametrize("authorization", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER  {KEY} "])
@pytest.mark.parametrize("address", ["127.0.0.1", "8.8.8.8"])
def test_key_allows_any_client(locked_client: FlaskClient, authorization: str, address: str) -> None:
    assert post(locked_client, "monica.bourlypokertour.fr", address, Authorization=authorization) == 202


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X_API_Key": KEY}, 202),
        ({"X_API_Key": f" {KEY} "}, 202),
        ({"X_API_Key": KEY, "Authorization": "Basic cHJveHk6c2VjcmV0"}, 202),
        ({"X_API_Key": KEY, "Authorization": "Bearer other"}, 202),
        ({"X_API_Key": "other", "Authorization": f"Bearer {KEY}"}, 202),
        ({"X_API_Key": ""}, 401),
        ({"X_API_Key": f"Bearer {KEY}"}, 401),
        ({"X_API_Key": KEY[:-1]}, 401),
        ({"X_API_Key": "\xe9\xe8", "Authorization": f"Basic {KEY}"}, 401),
    ],
)
def test_key_may_come_in_a_header_of_its_own(locked_client: FlaskClient, headers: dict[str, str], status: int) -> None:
    assert post(locked_client, "monica.bourlypokertour.fr", "8.8.8.8", **headers) == status


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY.lower()}",
        f"Bearer {KEY} {KEY}",
        "Bearer \xe9\xe8",
        f"Bearer {'x' * 8000}",
    ],
)
@pytest.mark.parametrize("address", ["127.0.0.1", "8.8.8.8"])
def test_wrong_or_missing_key_allows_no_client(
    locked_client: FlaskClient, authorization: str | None, address: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    assert post(locked_client, address=address, **headers) == 401


def test_stopping_a_job_needs_the_key_and_reading_it_does_not(locked_client: FlaskClient) -> None:
    allowed = {"Authorization": f"Bearer {KEY}"}
    job = locked_client.post("/v1/phrases/warm", json=BODY, headers=allowed).get_json()
    for job_id in (job["id"], "0" * 16):  # the answer does not reveal which jobs exist
        assert locked_client.delete(f"/v1/jobs/{job_id}").status_code == 401
    assert locked_client.get(f"/v1/jobs/{job['id']}").get_json()["state"] == "waiting"
    assert locked_client.delete(f"/v1/jobs/{job['id']}", headers=allowed).get_json()["state"] == "stopped"


def test_refusal_comes_before_the_body_is_read(locked_client: FlaskClient) -> None:
    refused = locked_client.post("/v1/phrases/warm", data=b"{", headers={"Content-Type": "application/json"})
    assert refused.status_code == 401


def test_keys_are_compared_in_constant_time(locked_client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, key: bytes) -> bool:
        compared.append((given, key))
        return False

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert post(locked_client, Authorization=f"Bearer {KEY}") == 401  # no other comparison accepts it
    assert post(locked_client, Authorization="Bearer x") == 401
    assert compared == [(KEY.encode(), KEY.encode()), (b"x", KEY.encode())]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for field in fields(Settings):
        monkeypatch.delenv(field.metadata["name"], raising=False)
    return monkeypatch


def test_key_is_read_from_the_environment_or_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Settings.from_env().api_key is None
    environment.setenv("MONICA_API_KEY", "")
    assert Settings.from_env().api_key is None
    environment.setenv("MONICA_API_KEY", KEY)
    assert Settings.from_env().api_key == KEY
    environment.setenv("MONICA_API_KEY", "")
    (tmp_path / "key").write_text(f"{KEY}\n")
    environment.setenv("MONICA_API_KEY_FILE", str(tmp_path / "key"))
    settings = Settings.from_env()
    assert settings.api_key == KEY
    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words", b"two\nlines", b"cl\xc3\xa9", b"\xff\xfe", b"a\x00b", None]
)
def test_key_that_no_client_can_send_stops_the_start(
    environment: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "key"
    environment.setenv("MONICA_API_KEY_FILE", str(file))
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^MONICA_API_KEY_FILE=") as caught:
        Settings.from_env()
    assert str(file) in str(caught.value)
    assert "two" not in str(caught.value)
    environment.delenv("MONICA_API_KEY_FILE")
    environment.setenv("MONICA_API_KEY", "two words")
    with pytest.raises(ConfigError, match=r"^MONICA_API_KEY: a key is letters, digits and punctuation of ASCII"):
        Settings.from_env()


def test_scope_without_a_key_stops_the_start(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MONICA_API_KEY_SCOPE", "all")
    with pytest.raises(ConfigError, match=r"^MONICA_API_KEY_SCOPE='all' closes nothing without a key"):
        Settings.from_env()
    environment.setenv("MONICA_API_KEY", KEY)
    assert Settings.from_env().api_key_scope == "all"
    environment.setenv("MONICA_API_KEY_SCOPE", "gets")
    with pytest.raises(ConfigError, match=r"^MONICA_API_KEY_SCOPE='gets': Must be one of: posts, all"):
        Settings.from_env()


def test_two_keys_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    log = run_to_failure(tmp_path, {"MONICA_API_KEY": KEY, "MONICA_API_KEY_FILE": str(tmp_path / "key")})
    assert log == ("Monica cannot start: MONICA_API_KEY and MONICA_API_KEY_FILE are both set: one of them has to go.\n")


def test_key_appears_in_no_answer_log_or_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    settings = {
        "MONICA_ENGINE": "espeak",
        "MONICA_CACHE_DIR": str(tmp_path / "cache"),
        "MONICA_API_KEY_FILE": str(tmp_path / "key"),
        "LOG_LEVEL": "debug",
    }
    with Server(tmp_path, settings) as server:
        url = f"{server.wait_ready().url}/v1/phrases/warm"
        answers = [
            requests.post(url, json=BODY, headers=headers, timeout=60)
            for headers in (
                {},
                {"Authorization": f"Bearer x{KEY}"},
                {"Authorization": f"Bearer {KEY}"},
                {"X-API-Key": KEY},
            )
        ]
        pages = [
            requests.get(f"{server.url}{path}", timeout=60).text for path in ("/openapi.json", "/metrics", "/health")
        ]
        assert [answer.status_code for answer in answers] == [401, 401, 202, 202]
        assert KEY not in "".join([*pages, *(answer.text for answer in answers), server.log()])
    kept = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    assert not any(KEY.encode() in content for content in kept)


def refusal(client: FlaskClient, **headers: str) -> str | None:
    """Submit a job from this machine. Returns the message of the refusal, or None."""
    answer = client.post("/v1/phrases/warm", json=BODY, headers=headers)
    return None if answer.status_code == 202 else str(answer.get_json()["error"]["message"])


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer x", f"Basic {KEY}", f"Bearer {KEY}", "Bearer None"])
def test_address_alone_does_not_prove_this_machine(open_client: FlaskClient, sent: str | None) -> None:
    """A bare proxy_pass sends the requests of everyone from this address, to this name."""
    del open_client.environ_base["HTTP_AUTHORIZATION"]
    message = refusal(open_client, **({} if sent is None else {"Authorization": sent}))
    assert message is not None
    assert 'Authorization: Bearer $(cat "$MONICA_CACHE_DIR/token")' in message


def test_token_is_for_the_eyes_of_this_user_alone(open_client: FlaskClient, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert refusal(open_client) is None
    assert [path.name for path in tmp_path.glob("token*")] == ["token"]


@pytest.mark.parametrize("damage", ["readable", "empty", "short", "gone", "link", "folder"])
def test_token_that_cannot_be_trusted_is_replaced(open_client: FlaskClient, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "token"
    old = file.read_text()
    if damage == "readable":
        file.chmod(0o644)
    elif damage in ("empty", "short"):
        file.write_text("" if damage == "empty" else "x")
    else:
        file.rename(tmp_path / "elsewhere")
        if damage == "link":
            file.symlink_to(tmp_path / "elsewhere")
        elif damage == "folder":
            file.mkdir()
    assert refusal(open_client) is not None
    if damage == "folder":  # cannot be replaced: everything stays refused, and nothing fails
        assert read_token(tmp_path) is None
        return
    new = file.read_text()
    assert new != old
    assert refusal(open_client, Authorization=f"Bearer {new}") is None


def test_token_is_read_from_the_file_each_time(open_client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("y" * 43)
    assert refusal(open_client) is not None
    assert refusal(open_client, Authorization=f"Bearer {'y' * 43}") is None


def test_with_a_key_the_token_opens_nothing(locked_client: FlaskClient, tmp_path: Path) -> None:
    token = ensure_token(tmp_path)
    assert post(locked_client, Authorization=f"Bearer {token}") == 401


@pytest.mark.parametrize(
    ("url", "key", "sent"),
    [
        ("http://127.0.0.1:8080", None, "token"),
        ("http://localhost:8080", None, "token"),
        ("http://[::1]:8080", None, "token"),
        ("http://monica:8080", None, None),
        ("http://192.168.1.20:8080", None, None),
        ("http://127.0.0.1.evil.example", None, None),
        ("http://127.0.0.1:8080", KEY, KEY),
        ("http://monica:8080", KEY, KEY),
    ],
)
def test_commands_send_the_token_to_this_machine_only(
    tmp_path: Path, url: str, key: str | None, sent: str | None
) -> None:
    token = ensure_token(tmp_path)
    remote = Remote(url, Settings(cache_dir=tmp_path, api_key=key))
    expected = {"token": f"Bearer {token}", None: None}.get(sent, f"Bearer {sent}")
    assert remote._headers.get("Authorization") == expected
