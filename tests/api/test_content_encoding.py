"""Compressed bodies: gzip is decoded within the limit, anything else is refused in the one shape of errors."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc

import pytest
from flask.testing import FlaskClient

from monica.admission import MAX_BODY_BYTES
from monica.api.bundles import BUNDLE
from tests.conftest import Answer, Call

BODY = json.dumps({"text": "Tapis de Rusmir !"}).encode()
ZIPPED = gzip.compress(BODY, mtime=0)


def post(call: Call, body: bytes, encoding: str = "gzip", path: str = "/v1/text") -> Answer:
    return call("POST", path, data=body, headers={"Content-Type": "application/json", "Content-Encoding": encoding})


def assert_refused(answer: Answer, status: int, code: str, says: str) -> None:
    assert (answer.status, answer.json["error"]["code"], answer.json["error"]["param"]) == (status, code, None)
    assert says in answer.json["error"]["message"]


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "identity, gzip", ""])
def test_body_is_decoded(call: Call, encoding: str) -> None:
    answer = post(call, ZIPPED if encoding else BODY, encoding)
    assert (answer.status, answer.json["sentences"]) == (200, ["Tapis de Rusmir!"])


def test_members_one_after_the_other_are_one_body(call: Call) -> None:
    assert post(call, gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])).status == 200


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "compress", "gzip, gzip", "gzip, br", "aes128gcm", "?"])
def test_other_encodings_are_refused(call: Call, encoding: str) -> None:
    answer = post(call, ZIPPED, encoding)
    assert_refused(answer, 415, "encoding_unsupported", "Content-Encoding: gzip.")
    assert answer.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (BODY, "is not gzip"),
        (ZIPPED[:-1], "breaks off"),
        (ZIPPED[:12], "breaks off"),
        (ZIPPED[:-8] + bytes(8), "is damaged"),
        (ZIPPED[:20] + b"\xff" + ZIPPED[21:], "is damaged"),
        (ZIPPED + b"and more", "is damaged"),
    ],
    ids=["plain", "cut", "header", "checksum", "byte", "trailer"],
)
def test_what_is_not_gzip_is_refused(call: Call, body: bytes, says: str) -> None:
    assert_refused(post(call, body), 400, "encoding_invalid", says)
    assert post(call, ZIPPED).status == 200


@pytest.mark.parametrize("path", ["/v1/text", "/blabla", "/v1/audio/speech"])
def test_limit_is_that_of_the_decoded_body(call: Call, path: str) -> None:
    for size in (MAX_BODY_BYTES + 1, 2**24):
        assert_refused(post(call, gzip.compress(BODY.ljust(size)), path=path), 413, "body_too_large", "64 KiB")
    assert post(call, gzip.compress(BODY.ljust(MAX_BODY_BYTES))).status == 200


def test_bomb_is_not_decoded(client: FlaskClient) -> None:
    """A bundle may be as large as the cache, so its limit does not protect memory: reading it in pieces does."""
    headers = {"Content-Type": BUNDLE, "Content-Encoding": "gzip"}
    bomb = gzip.compress(bytes(2**26), compresslevel=1)
    client.post("/v1/text", json={"text": "x"})
    tracemalloc.start()
    try:
        answer = client.post("/v1/phrases/bundle", data=bomb, headers=headers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (422, "bundle_invalid")
    assert peak < 2**24


def test_form_and_bundle_may_be_compressed(client: FlaskClient) -> None:
    headers = {"Content-Type": BUNDLE, "Content-Encoding": "gzip"}
    answer = client.post("/v1/phrases/bundle", data=gzip.compress(b"no bundle"), headers=headers)
    assert "This is not a bundle" in answer.get_json()["error"]["message"]
    client.post("/blabla", json={"text": "Tapis !"})
    bundle = io.BytesIO(client.get("/v1/phrases/bundle?all=1", buffered=True).data).getvalue()
    answer = client.post("/v1/phrases/bundle", data=gzip.compress(bundle), headers=headers)
    assert answer.get_json() == {"new": 0, "replaced": 0, "known": 1}


def test_key_is_checked_before_the_encoding(client: FlaskClient) -> None:
    del client.environ_base["HTTP_AUTHORIZATION"]
    headers = {"Content-Type": BUNDLE, "Content-Encoding": "br"}
    assert client.post("/v1/phrases/bundle", data=b"x", headers=headers).status_code == 403
