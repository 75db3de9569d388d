"""Bundles over HTTP: from one Monica to another. Anything else is refused, and leaves nothing behind."""

from __future__ import annotations

import io
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from diskcache import Disk
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from monica import create_app
from monica.config import Settings
from monica.service import Service
from tests.api.test_phrases import assert_error
from tests.conftest import local_client, started
from tests.store.test_bundle import kept, packed, unpacked
from tests.support.engines import ToyEngine
from tests.support.kept import keep, server_store
from tests.support.server import Server
from tests.support.wire import connect

TEXTS = (
    "Tapis de Rusmir, et toute la table se lève !",
    "Élise paie sans un mot, comme elle fait toujours.",
    "Les blinds montent, et la table se tait enfin.",
)
PATH = "/v1/phrases/bundle"
ZIP = {"Content-Type": "application/zip"}
DISK_FULL = Path("/dev/full")


@pytest.fixture
def client(service: Service) -> FlaskClient:
    client = local_client(create_app(service=service))
    for text in TEXTS:
        assert client.post("/blabla", json={"text": text}).status_code == 200
    return client


@pytest.fixture
def bundle(client: FlaskClient) -> bytes:
    return bytes(export_from(client).data)


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, cache_dir=tmp_path / "elsewhere", cache_mb=16)


@pytest.fixture
def other(elsewhere: Settings) -> Iterator[FlaskClient]:
    """A Monica with the same voice on another machine."""
    service = started(elsewhere, ToyEngine())
    yield local_client(create_app(service=service))
    service.close()


def export_from(client: FlaskClient, query: str = "") -> TestResponse:
    return client.get(PATH + query, buffered=True)


def import_to(client: FlaskClient, bundle: bytes, query: str = "") -> TestResponse:
    return client.post(PATH + query, data=bundle, headers=ZIP)


def test_bundle_goes_to_another_machine(
    client: FlaskClient, settings: Settings, other: FlaskClient, elsewhere: Settings
) -> None:
    given = export_from(client)
    assert given.headers["Content-Type"] == "application/zip"
    assert given.headers["Content-Disposition"] == 'attachment; filename="monica.zip"'
    assert int(given.headers["Content-Length"]) == len(given.data)
    assert (given.headers["X-Monica-Phrases"], given.headers["X-Monica-Left-Out"]) == ("3", "0")
    assert import_to(other, given.data).get_json() == {"new": 3, "replaced": 0, "known": 0}
    assert kept(elsewhere) == kept(settings)
    assert other.post("/blabla", json={"text": TEXTS[0]}).headers["X-Monica-Cache"] == "hit"
    assert import_to(other, given.data).get_json() == {"new": 0, "replaced": 0, "known": 3}
    assert export_from(other).data == given.data


def test_download_that_broke_off_is_resumed(client: FlaskClient, settings: Settings) -> None:
    whole = export_from(client)
    size, etag = len(whole.data), whole.headers["ETag"]
    assert (whole.headers["Accept-Ranges"], export_from(client).headers["ETag"]) == ("bytes", etag)
    for asked, first, end in (("1000-", 1000, size), ("0-9", 0, 10), ("-100", size - 100, size)):
        rest = client.get(PATH, headers={"Range": f"bytes={asked}", "If-Range": etag}, buffered=True)
        assert (rest.status_code, rest.data) == (206, whole.data[first:end])
        assert rest.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
    head = client.head(PATH, buffered=True)
    assert (head.status_code, head.data) == (200, b"")
    assert (head.headers["Content-Length"], head.headers["ETag"]) == (str(size), etag)
    assert client.get(PATH, headers={"If-None-Match": etag}, buffered=True).status_code == 304
    beyond = client.get(PATH, headers={"Range": f"bytes={size}-"})
    assert_error(beyond, 416, "range_unsatisfiable")
    assert beyond.headers["Content-Range"] == f"bytes */{size}"


@pytest.mark.parametrize("change", ["another take", "one phrase more", "pinned"])
def test_resumed_download_is_never_a_mix_of_two(client: FlaskClient, change: str) -> None:
    """The rest of another bundle would be the rest of a file that no one can open."""
    whole = export_from(client)
    if change == "another take":
        headers = {"Cache-Control": "no-cache"}
        client.post("/blabla", json={"text": TEXTS[0]}, headers=headers)
    elif change == "one phrase more":
        client.post("/blabla", json={"text": "Une de plus."})
    else:
        client.put(f"/v1/phrases/{client.get('/v1/phrases').get_json()['phrases'][0]['key']}/pin")
    now = export_from(client)
    headers = {"Range": "bytes=1000-", "If-Range": whole.headers["ETag"]}
    rest = client.get(PATH, headers=headers, buffered=True)
    assert (rest.headers["ETag"] == whole.headers["ETag"]) == (now.data == whole.data)
    assert rest.data == (whole.data[1000:] if now.data == whole.data else now.data)
    assert rest.status_code == (206 if now.data == whole.data else 200)
    assert (now.data == whole.data) == (change == "pinned")


def test_replacing_take_is_heard_at_once(other: FlaskClient, client: FlaskClient) -> None:
    """The old take in memory does not live on for ten seconds."""
    before = other.post("/blabla", json={"text": TEXTS[0], "temperature": 0.9}).data
    given = client.post("/blabla", json={"text": TEXTS[0], "temperature": 0.9}).data
    while given == before:
        headers = {"Cache-Control": "no-cache"}
        given = client.post("/blabla", json={"text": TEXTS[0], "temperature": 0.9}, headers=headers).data
    assert import_to(other, export_from(client).data).get_json() == {"new": 3, "replaced": 1, "known": 0}
    assert other.post("/blabla", json={"text": TEXTS[0], "temperature": 0.9}).data == given


def test_export_by_search_and_of_foreign_phrases(client: FlaskClient, settings: Settings) -> None:
    keep(server_store(settings), "Hello.")
    server_store(settings).put("0" * 64, b"before metadata")
    ours, all_of_it = export_from(client), export_from(client, "?all=true")
    assert (ours.headers["X-Monica-Phrases"], ours.headers["X-Monica-Left-Out"]) == ("3", "2")
    assert (all_of_it.headers["X-Monica-Phrases"], all_of_it.headers["X-Monica-Left-Out"]) == ("4", "1")
    assert len(unpacked(export_from(client, "?search=rusmir").data)) == 2
    assert_error(export_from(client, "?search=personne"), 404, "entry_unknown", "nothing to export")
    assert_error(export_from(client, "?search=hello"), 404, "entry_unknown", "nothing to export")
    assert_error(export_from(client, "?all=yes"), 422, "request_invalid", param="all")


def test_bundle_of_another_voice_is_refused_unless_forced(
    client: FlaskClient, settings: Settings, other: FlaskClient, elsewhere: Settings
) -> None:
    keep(server_store(settings), "Hello.")
    bundle = export_from(client, "?all=1").data
    says = "1 of 4 sounds would not be asked for here: made by chatterbox 1; this machine has toy 1. Use force=1"
    for query in ("", "?force=0", "?force=false"):
        assert_error(import_to(other, bundle, query), 409, "bundle_foreign", says)
        assert kept(elsewhere) == {}
    assert_error(import_to(other, bundle, "?force=maybe"), 422, "request_invalid", param="force")
    assert import_to(other, bundle, "?force=1").get_json()["new"] == 4


@pytest.mark.parametrize("name", ["../evil.wav", "/etc/evil.wav", "..\\evil.wav", "evil.wav"])
@pytest.mark.parametrize("query", ["", "?force=1"])
def test_bundle_with_a_path_outside_is_refused(
    bundle: bytes, other: FlaskClient, elsewhere: Settings, tmp_path: Path, name: str, query: str
) -> None:
    answer = import_to(other, packed(unpacked(bundle) | {name: b"evil"}), query)
    assert_error(answer, 422, "bundle_invalid", "does not belong there")
    assert kept(elsewhere) == {}
    assert not list(tmp_path.rglob("*evil*"))


def test_truncated_bundle_is_refused_wherever_it_ends(bundle: bytes, other: FlaskClient, elsewhere: Settings) -> None:
    for end in {*range(0, len(bundle), 9001), len(bundle) - 1}:
        assert_error(
            import_to(other, bundle[:end], "?force=1"), 422, "bundle_invalid", "not a bundle, or not all of one"
        )
    assert kept(elsewhere) == {}


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "", "multipart/form-data; boundary=x"])
def test_other_content_type_is_refused(bundle: bytes, other: FlaskClient, kind: str) -> None:
    """A web page must not send one behind its visitor's back: a browser asks before it sends this type."""
    answer = other.post(PATH, data=bundle, headers={"Content-Type": kind})
    assert_error(answer, 422, "bundle_invalid", "The Content-Type must be")


def test_only_a_bundle_may_be_as_large_as_the_cache(
    other: FlaskClient, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["monica.api.bundles"], "MAX_MANIFEST", 0)
    largest = elsewhere.cache_mb * 2**20
    assert_error(import_to(other, bytes(largest)), 422, "bundle_invalid")
    assert_error(import_to(other, bytes(largest + 1)), 413, "body_too_large", "16384 KiB")
    for method, path in (("POST", "/blabla"), ("POST", "/v1/text")):
        answer = other.open(path, method=method, data=bytes(2**16 + 1), headers={"Content-Type": "application/json"})
        assert_error(answer, 413, "body_too_large", "64 KiB")


def test_bundle_without_room_is_refused(bundle: bytes, elsewhere: Settings) -> None:
    small = replace(elsewhere, cache_mb=1)
    store = server_store(small)
    mine = [keep(store, f"Phrase {number}", 12.0) for number in range(5)]  # 192 kB each
    service = started(small, ToyEngine())
    client = local_client(create_app(service=service))
    assert_error(import_to(client, bundle), 507, "no_room", "of MONICA_CACHE_MB=1 are free")
    service.close()
    assert set(kept(small)) == set(mine)


def test_disk_full_in_the_middle_leaves_whole_sounds(
    bundle: bytes, other: FlaskClient, settings: Settings, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, writes = Disk._write, []

    def fail(self: object, full_path: str, *args: Any) -> int:
        writes.append(full_path)
        if len(writes) == 2:
            raise OSError(28, "No space left on device")
        return int(write(self, full_path, *args))

    monkeypatch.setattr(Disk, "_write", fail)
    assert_error(import_to(other, bundle), 507, "no_room", "after 1 of 3 sounds")
    assert len(kept(elsewhere)) == 1
    assert kept(elsewhere).items() <= kept(settings).items()
    assert import_to(other, bundle).get_json() == {"new": 2, "replaced": 0, "known": 1}
    assert kept(elsewhere) == kept(settings)


@pytest.mark.skipif(not DISK_FULL.exists(), reason="needs a device that is always full")
def test_disk_full_before_is_reported(
    bundle: bytes, client: FlaskClient, other: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: DISK_FULL.open("w+b"))
    assert_error(import_to(other, bundle), 507, "no_room", "No space left on device")
    assert_error(export_from(client), 507, "no_room", "No space left on device")

    def refuse(**_: object) -> io.BytesIO:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert_error(import_to(other, bundle), 507, "no_room", "Read-only file system")
    assert_error(export_from(client), 507, "no_room", "Read-only file system")


def test_origin_is_not_checked_before_the_engine_is_ready(bundle: bytes, elsewhere: Settings) -> None:
    client = local_client(create_app(service=Service(elsewhere, ToyEngine())))
    answer = import_to(client, bundle)
    assert_error(answer, 503, "model_loading")
    assert answer.headers["Retry-After"]
    assert import_to(client, bundle, "?force=1").get_json()["new"] == 3


def test_through_a_real_server(tmp_path: Path) -> None:
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}
    with Server(tmp_path, settings) as server:
        server.wait_ready()
        url, zipped = server.url + PATH, server.token() | ZIP
        keys = [server.say(text).headers["ETag"].strip('"') for text in TEXTS]
        given = requests.get(url, headers=server.token(), timeout=60)
        assert int(given.headers["Content-Length"]) == len(given.content) > 2**16
        for key in keys:
            assert (
                requests.delete(f"{server.url}/v1/phrases/{key}", headers=server.token(), timeout=60).status_code == 200
            )
        half = given.content[: len(given.content) // 2]
        with connect(server) as connection:  # breaks off in the middle
            head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/zip\r\n"
            head += f"Authorization: {server.token()['Authorization']}\r\nContent-Length: "
            connection.sendall(f"{head}{len(given.content)}\r\n\r\n".encode() + half)
            connection.shutdown(socket.SHUT_WR)
            heard = connection.recv(65536)
            assert heard == b"" or heard.startswith(b"HTTP/1.1 422")
        chunked = requests.post(url, data=iter([half, given.content[len(half) :]]), headers=zipped, timeout=60)
        assert chunked.json() == {"new": 3, "replaced": 0, "known": 0}
        assert requests.post(url, data=iter([half]), headers=zipped, timeout=60).status_code == 422
        assert requests.get(url, headers=server.token(), timeout=60).content == given.content
        assert server.say(TEXTS[0]).headers["X-Monica-Cache"] == "hit"
        assert "Traceback" not in server.log()
