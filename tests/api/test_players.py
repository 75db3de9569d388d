"""GET /blabla and /v1/audio/speech, for media players: the same as by POST, and only if a setting allows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from monica import create_app
from monica.api.schemas import SpeechSchema
from monica.config import Settings
from tests.api.test_auth import KEY
from tests.api.test_phrases import assert_error
from tests.conftest import Call, started
from tests.support.engines import ToyEngine

TEXT = "Pablo vient de se faire éliminer par Rusmir !"
OPENAI = {"model": "monica", "voice": "monica"}


@pytest.fixture
def toy() -> ToyEngine:
    return ToyEngine()


@pytest.fixture
def player(settings: Settings, toy: ToyEngine) -> Iterator[FlaskClient]:
    service = started(replace(settings, get_speech=True), toy)
    yield create_app(service=service).test_client()
    service.close()


def test_get_is_off_unless_the_setting_allows_it(call: Call) -> None:
    for path in ("/blabla", "/v1/audio/speech"):
        answer = call("GET", f"{path}?text=Tapis")
        assert (answer.status, answer.json["error"]["code"]) == (405, "method_not_allowed")
        assert answer.headers["Allow"] == "POST"
    assert "get" not in call("GET", "/openapi.json").json["paths"]["/blabla"]


def test_query_is_the_body_of_a_post(player: FlaskClient) -> None:
    fields = {"text": TEXT, "voice": "monica", "seed": 7, "exaggeration": 0.7, "temperature": 1, "fallback": False}
    said = player.post("/blabla", json=fields)
    asked = player.get("/blabla", query_string={name: json.dumps(value).strip('"') if name != "text" else value
                                                for name, value in fields.items()})  # fmt: skip
    assert (asked.status_code, asked.data) == (200, said.data)
    assert (asked.headers["X-Monica-Cache"], asked.headers["Content-Type"]) == ("hit", "audio/wav")
    flac = player.get("/blabla", query_string={"text": TEXT}, headers={"Accept": "audio/flac"})
    assert flac.data[:4] == b"fLaC"


def test_openai_by_get(player: FlaskClient) -> None:
    fields = OPENAI | {"response_format": "wav", "input": TEXT}
    said = player.post("/v1/audio/speech", json=fields | {"speed": 1.5})
    asked = player.get("/v1/audio/speech", query_string=fields | {"speed": "1.5"})
    assert (asked.status_code, asked.data) == (200, said.data)
    mp3 = player.get("/v1/audio/speech", query_string=OPENAI | {"input": TEXT})
    assert mp3.headers["Content-Type"] == "audio/mpeg"


@pytest.mark.parametrize(
    ("query", "status", "code", "param"),
    [
        ("", 422, "request_invalid", "text"),
        ("text=", 400, "text_empty", "text"),
        (f"text={'x' * 501}", 400, "text_too_long", "text"),
        ("text=a&voice=luc", 404, "voice_unknown", "voice"),
        ("text=a&speed=2", 422, "request_invalid", "speed"),
        ("text=a&seed=1.5", 422, "request_invalid", "seed"),
        ("text=a&seed=", 422, "request_invalid", "seed"),
        ("text=a&temperature=NaN", 422, "request_invalid", "temperature"),
        ("text=a&temperature=true", 422, "request_invalid", "temperature"),
        ("text=a&fallback=1", 422, "request_invalid", "fallback"),
        ("text=a&air=true", 422, "request_invalid", "air"),
        ("text=a&air=false", 422, "request_invalid", "air"),
        ("text=a&text=b", 422, "request_invalid", "text"),
        ("text=a&stream=yes", 422, "request_invalid", "stream"),
        ("text=%E9limin%E9", 422, "request_invalid", None),
        ("text=\xe9limin\xe9", 422, "request_invalid", None),
    ],
)
def test_errors_are_those_of_a_post(player: FlaskClient, query: str, status: int, code: str, param: str | None) -> None:
    assert_error(player.get("/blabla", environ_overrides={"QUERY_STRING": query}), status, code, param=param)


def test_openai_errors_name_its_own_field(player: FlaskClient) -> None:
    assert_error(player.get("/v1/audio/speech", query_string=OPENAI | {"input": " "}), 400, "text_empty", param="input")
    wrong = player.get("/v1/audio/speech", query_string=OPENAI | {"input": "a", "language": "en"})
    assert_error(wrong, 422, "request_invalid", param="language")


def test_a_number_may_be_the_text(player: FlaskClient, toy: ToyEngine) -> None:
    assert player.get("/blabla?text=3").status_code == 200
    assert player.get("/v1/audio/speech", query_string=OPENAI | {"input": "true"}).status_code == 200


@pytest.mark.parametrize("path", [f"/blabla?text={TEXT}", f"/v1/audio/speech?model=a&voice=monica&input={TEXT}"])
def test_player_can_seek_and_resume(player: FlaskClient, path: str) -> None:
    first = player.get(path, headers={"Range": "bytes=0-1"})  # as Safari begins, before the sound exists
    whole = player.get(path)
    size, etag = len(whole.data), whole.headers["ETag"]
    assert (first.status_code, first.data) == (206, whole.data[:2])
    assert first.headers["Content-Range"] == f"bytes 0-1/{size}"
    assert (whole.headers["Accept-Ranges"], first.headers["ETag"]) == ("bytes", etag)
    rest = player.get(path, headers={"Range": "bytes=100-", "If-Range": etag})
    assert (rest.status_code, rest.data) == (206, whole.data[100:])
    assert player.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert_error(player.get(path, headers={"Range": f"bytes={size}-"}), 416, "range_unsatisfiable")
    head = player.head(path)
    assert (head.data, int(head.headers["Content-Length"]), head.headers["ETag"]) == (b"", size, etag)


def test_resumed_sound_is_never_a_mix_of_two_takes(player: FlaskClient) -> None:
    path = f"/blabla?text={TEXT}"
    before = player.get(path)
    again: TestResponse = before
    while again.data == before.data:
        again = player.post("/blabla", json={"text": TEXT}, headers={"Cache-Control": "no-cache"})
    rest = player.get(path, headers={"Range": "bytes=100-", "If-Range": before.headers["ETag"]})
    assert (rest.status_code, rest.data) == (200, again.data)


def test_page_that_is_loaded_again_makes_no_new_take(player: FlaskClient) -> None:
    first = player.get(f"/blabla?text={TEXT}", headers={"Cache-Control": "no-cache"})
    again = player.get(f"/blabla?text={TEXT}", headers={"Cache-Control": "no-cache"})
    assert [answer.headers["X-Monica-Cache"] for answer in (first, again)] == ["miss", "hit"]


def test_head_makes_the_sound_and_a_stream_cannot_be_sought(player: FlaskClient) -> None:
    head = player.head("/blabla?text=Tapis")
    assert (head.headers["X-Monica-Cache"], head.headers["Accept-Ranges"]) == ("miss", "bytes")
    assert player.get("/blabla?text=Tapis").headers["X-Monica-Cache"] == "hit"
    streamed = player.get("/blabla?text=Encore&stream=1", headers={"Range": "bytes=0-1"})
    assert (streamed.status_code, "Accept-Ranges" in streamed.headers) == (200, False)
    kept = player.get("/blabla?text=Encore&stream=1", headers={"Range": "bytes=0-1"})
    assert (kept.status_code, len(kept.data)) == (206, 2)


def test_deadline_is_that_of_the_header(player: FlaskClient, toy: ToyEngine) -> None:
    toy.gate.clear()
    answer = player.get("/blabla?text=Tapis", headers={"X-Deadline-Ms": "50"})
    toy.gate.set()
    assert_error(answer, 504, "deadline_exceeded")


def test_key_is_needed_as_for_a_post(settings: Settings) -> None:
    service = started(replace(settings, get_speech=True, api_key=KEY), ToyEngine())
    client = create_app(service=service).test_client()
    for method in ("GET", "HEAD"):
        assert client.open("/blabla?text=Tapis", method=method).status_code == 401
        assert client.open(f"/blabla?text=Tapis&key={KEY}", method=method).status_code == 401
        assert client.open("/blabla?text=Tapis", method=method, headers={"X-API-Key": KEY}).status_code == 200
    service.close()


def test_every_answer_is_documented(player: FlaskClient) -> None:
    paths = player.get("/openapi.json").get_json()["paths"]
    for path in ("/blabla", "/v1/audio/speech"):
        assert set(paths[path]) == {"get", "post"}
        documented = set(paths[path]["get"]["responses"])
        assert {"200", "206", "304", "400", "401", "404", "416", "422", "503", "504"} <= documented
        assert "403" not in documented
        assert "requestBody" not in paths[path]["get"]
    names = {parameter["name"] for parameter in paths["/blabla"]["get"]["parameters"]}
    assert names == {*SpeechSchema().fields, "stream", "X-Deadline-Ms"} - {"air"}
