"""The HTTP contract, row by row, against the Flask application and against a real gunicorn."""

from __future__ import annotations

import io
import json
import re
import uuid
from typing import Any

import pytest
import soundfile
from flask.testing import FlaskClient

from tests.conftest import Answer, Call

PABLO = "Pablo vient de se faire éliminer par Rusmir!"


def say(call: Call, headers: dict[str, str] | None = None, **body: Any) -> Answer:
    return call("POST", "/blabla", json={"text": PABLO} | body, headers=headers or {})


def unique(text: str = PABLO) -> str:
    return f"{text} {uuid.uuid4().hex[:8]}"


def assert_error(answer: Answer, status: int, code: str, param: str | None = None) -> None:
    assert answer.status == status, answer.body
    assert set(answer.json) == {"error"}
    error = answer.json["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert error["message"]
    assert "Traceback" not in error["message"]
    assert "/" not in error["message"].replace("application/json", "")
    assert re.fullmatch(r"[A-Za-z0-9._-]+", answer.headers["X-Request-Id"])


def test_backend_call_returns_a_wav(call: Call) -> None:
    answer = say(call, text=unique())
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "audio/wav"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    samples, rate = soundfile.read(io.BytesIO(answer.body), dtype="int16")
    info = soundfile.info(io.BytesIO(answer.body))
    assert (info.format, info.subtype, info.channels, rate) == ("WAV", "PCM_16", 1, 22050)
    assert abs(samples).max() > 3000
    assert answer.headers["Content-Disposition"] == 'inline; filename="monica.wav"'
    assert re.fullmatch(r"\d+\.\d\ds", answer.headers["X-Generation-Time"])
    assert answer.headers["X-Audio-Duration"] == f"{len(samples) / rate:.2f}s"
    assert answer.headers["X-Monica-Cache"] == "miss"
    assert answer.headers["X-Monica-Engine"] == "espeak"
    assert re.fullmatch(r'"[0-9a-f]{64}"', answer.headers["ETag"])
    assert "Cache-Control" not in answer.headers


def test_wav_header_has_the_size_of_the_sound(call: Call) -> None:
    body = say(call).body
    assert int.from_bytes(body[4:8], "little") == len(body) - 8
    assert int.from_bytes(body[40:44], "little") == len(body) - 44


def test_repeated_phrase_is_made_once(call: Call) -> None:
    text = unique()
    first, second = say(call, text=text), say(call, text=f"  {text}\n")
    assert (first.headers["X-Monica-Cache"], second.headers["X-Monica-Cache"]) == ("miss", "hit")
    assert first.body == second.body
    assert first.headers["ETag"] == second.headers["ETag"]


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"exaggeration": 1.0}, {"cfg_weight": 0.1}, {"temperature": 1.5}, {"text": "Autre chose."}]
)
def test_parameters_of_the_take_change_its_key(call: Call, other: dict[str, Any]) -> None:
    assert say(call).headers["ETag"] != say(call, **other).headers["ETag"]


@pytest.mark.parametrize("other", [{"priority": "background"}, {"fallback": False}])
def test_other_parameters_do_not_change_its_key(call: Call, other: dict[str, Any]) -> None:
    assert say(call).headers["ETag"] == say(call, **other).headers["ETag"]


def test_deadline_does_not_change_the_key(call: Call) -> None:
    assert say(call).headers["ETag"] == say(call, {"X-Deadline-Ms": "30000"}).headers["ETag"]


def test_no_cache_makes_a_new_take(call: Call) -> None:
    text = unique()
    say(call, text=text)
    assert say(call, {"Cache-Control": "no-cache"}, text=text).headers["X-Monica-Cache"] == "miss"
    assert say(call, text=text).headers["X-Monica-Cache"] == "hit"


def test_no_store_keeps_nothing(call: Call) -> None:
    text = unique()
    assert say(call, {"Cache-Control": "no-store"}, text=text).headers["X-Monica-Cache"] == "miss"
    assert say(call, text=text).headers["X-Monica-Cache"] == "miss"


def test_if_none_match(call: Call) -> None:
    etag = say(call).headers["ETag"]
    same = say(call, {"If-None-Match": etag})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", etag)
    assert say(call, {"If-None-Match": '"other"'}).status == 200
    assert say(call, {"If-None-Match": etag}, text="Autre chose.").status == 200
    assert say(call, {"If-None-Match": etag, "Cache-Control": "no-cache"}).status == 200


def test_request_id_of_the_caller_is_kept_if_it_is_valid(call: Call) -> None:
    assert say(call, {"X-Request-Id": "tournoi-42.a_b"}).headers["X-Request-Id"] == "tournoi-42.a_b"
    for invalid in ("a b", "x" * 129, "<script>"):
        assert re.fullmatch(r"[0-9a-f]{32}", say(call, {"X-Request-Id": invalid}).headers["X-Request-Id"])


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "...", "🃏🃏", "\u0000", "\u200b", "!?", "\ud800"])
def test_text_with_nothing_to_speak(call: Call, text: str) -> None:
    assert_error(say(call, text=text), 400, "text_empty", "text")


def test_text_too_long(call: Call) -> None:
    answer = say(call, text="é" * 612)
    assert_error(answer, 400, "text_too_long", "text")
    assert answer.json["error"]["message"] == "Text is 612 characters, at most 500."
    assert say(call, text="a " * 249 + "fi").status == 200


def test_length_is_counted_after_normalisation(call: Call) -> None:
    # 500 letters after "e" + combining acute become one character and the white space is collapsed.
    assert say(call, text="e\u0301" * 250 + " " * 300 + "a" * 249).status == 200


def test_ten_thousand_emoji(call: Call) -> None:
    body = json.dumps({"text": "🃏" * 10_000}, ensure_ascii=False).encode()
    answer = call("POST", "/blabla", data=body, headers={"Content-Type": "application/json"})
    assert_error(answer, 400, "text_too_long", "text")


@pytest.mark.parametrize("voice", ["nobody", "", "../monica", "Monica", "\ud800"])
def test_unknown_voice(call: Call, voice: str) -> None:
    assert_error(say(call, voice=voice), 404, "voice_unknown", "voice")
    assert say(call, voice="monica").status == 200


@pytest.mark.parametrize("query", ["a=\xe9", "a=%E9", "%ff", "stream=%80"])
def test_query_that_is_not_utf_8(client: FlaskClient, query: str) -> None:
    for method, path in (("POST", "/blabla"), ("GET", "/v1/phrases"), ("GET", "/v1/phrases/bundle")):
        answer = client.open(path, method=method, json={"text": "Bo !"}, environ_overrides={"QUERY_STRING": query})
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (422, "request_invalid")
        assert "not UTF-8" in answer.get_json()["error"]["message"]


def test_unknown_path(call: Call) -> None:
    assert_error(call("GET", "/nope"), 404, "not_found")


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/models/monica", "/v1/audio/voices", "/openapi.json"])
def test_slash_at_the_end_changes_nothing(call: Call, path: str) -> None:
    plain, slashed = call("GET", path), call("GET", f"{path}/")
    assert (plain.status, slashed.status) == (200, 200)
    assert set(plain.json) == set(slashed.json)
    assert call("POST", "/blabla/", json={"text": PABLO}).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/blabla"), ("PUT", "/blabla"), ("DELETE", "/blabla"), ("OPTIONS", "/blabla"), ("POST", "/health")],
)
def test_unsupported_method(call: Call, method: str, path: str) -> None:
    answer = call(method, path)
    assert_error(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"]


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1_000_000])
def test_body_too_large(call: Call, size: int) -> None:
    body = json.dumps({"text": "a" * size})
    answer = call("POST", "/blabla", data=body, headers={"Content-Type": "application/json"})
    assert_error(answer, 413, "body_too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"text": "Pab',
        b"hello",
        b"[]",
        b'"text"',
        b"null",
        b"42",
        b'{"text": "a", "seed": NaN}',
        b'{"text": "a", "temperature": Infinity}',
        b"\xff\xfe\x00",
        b'{"text": "\xe9"}',
        b"[" * 30_000,
        b'{"text": ' * 5_000,
        b'{"text": "a", "seed": ' + b"9" * 5_000 + b"}",
    ],
)
def test_body_that_is_not_a_json_object(call: Call, body: bytes) -> None:
    answer = call("POST", "/blabla", data=body, headers={"Content-Type": "application/json"})
    assert_error(answer, 422, "json_invalid")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"text": "Éliminé"}'.encode("cp1252"), "The body is not UTF-8: byte 0xC9 at offset 10."),
        (b'{"text": "a",\n "seed" 1}', "The body is not JSON: line 2, column 9: Expecting ':' delimiter."),
        (b'{"text": "a", "seed": NaN}', "The body is not JSON: NaN is not a number there."),
    ],
)
def test_invalid_json_says_what_is_wrong_and_where(call: Call, body: bytes, says: str) -> None:
    answer = call("POST", "/blabla", data=body, headers={"Content-Type": "application/json"})
    assert_error(answer, 422, "json_invalid")
    assert answer.json["error"]["message"].startswith(says)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_wrong_content_type(call: Call, content_type: str) -> None:
    answer = call("POST", "/blabla", data=b'{"text": "Bonjour."}', headers={"Content-Type": content_type})
    assert_error(answer, 422, "json_invalid")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", None),
        ("text", 42),
        ("text", ["a"]),
        ("text", {"a": "b"}),
        ("voice", 1),
        ("seed", -1),
        ("seed", 2**32),
        ("seed", 1.5),
        ("seed", "1"),
        ("seed", True),
        ("exaggeration", -0.1),
        ("exaggeration", 2.1),
        ("exaggeration", "0.5"),
        ("exaggeration", True),
        ("cfg_weight", -0.1),
        ("cfg_weight", 1.1),
        ("temperature", 0.04),
        ("temperature", 5.1),
        ("temperature", 1e999),
        ("priority", "urgent"),
        ("priority", 1),
        ("fallback", "false"),
        ("fallback", 0),
        ("fallback", 1),
        ("txt", "typo"),
        ("Text", "typo"),
    ],
)
def test_invalid_field(call: Call, field: str, value: Any) -> None:
    body = json.dumps({"text": PABLO} | {field: value}).replace("Infinity", "1e999")
    answer = call("POST", "/blabla", data=body, headers={"Content-Type": "application/json"})
    assert_error(answer, 422, "request_invalid", field)


@pytest.mark.parametrize(
    "field", ["voice", "seed", "exaggeration", "cfg_weight", "temperature", "priority", "fallback"]
)
def test_null_for_an_optional_field_is_its_default(call: Call, field: str) -> None:
    assert say(call, **{field: None}).headers["ETag"] == say(call).headers["ETag"]


def test_null_does_not_hide_an_unknown_field(call: Call) -> None:
    assert_error(say(call, txt=None), 422, "request_invalid", "txt")


def test_text_is_required(call: Call) -> None:
    assert_error(call("POST", "/blabla", json={"seed": 1}), 422, "request_invalid", "text")


@pytest.mark.parametrize(
    "params",
    [
        {"seed": 0},
        {"seed": 2**32 - 1},
        {"exaggeration": 0},
        {"exaggeration": 2},
        {"cfg_weight": 0, "temperature": 0.05},
        {"cfg_weight": 1, "temperature": 5},
        {"priority": "background"},
        {"priority": "live", "voice": "monica"},
        {"fallback": False},
        {"fallback": True},
    ],
)
def test_limits_of_the_ranges_are_valid(call: Call, params: dict[str, Any]) -> None:
    assert say(call, **params).status == 200


def test_health(call: Call) -> None:
    answer = call("GET", "/health")
    assert answer.status == 200
    health = answer.json
    assert (health["status"], health["device"], health["model_loaded"]) == ("ok", "cpu", True)
    assert (health["engine"], health["voice"], health["reason"]) == ("espeak", "monica", None)
    assert (health["fallback"], health["shared_store"]) == (None, None)
    assert health["model"].startswith("espeak-ng")
    assert health["uptime_s"] >= 0
    assert (health["queue_depth"], health["failures_in_a_row"]) == (0, 0)
    say(call, {"Cache-Control": "no-cache"})
    assert 0 <= call("GET", "/health").json["last_success_s"] < 30


def test_live(call: Call) -> None:
    assert call("GET", "/health/live").json == {"status": "ok"}


def test_metrics_page(call: Call) -> None:
    answer = call("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert b"monica_ready 1.0" in answer.body


def test_openapi_and_docs(call: Call) -> None:
    spec = call("GET", "/openapi.json").json
    assert spec["openapi"].startswith("3.1")
    assert {"/blabla", "/health", "/health/live", "/metrics"} <= set(spec["paths"])
    deadline, stream = spec["paths"]["/blabla"]["post"]["parameters"]
    assert (stream["in"], stream["name"], stream["required"]) == ("query", "stream", False)
    assert (deadline["in"], deadline["name"], deadline["required"]) == ("header", "X-Deadline-Ms", False)
    assert deadline["schema"] == {"type": "integer", "minimum": 1, "maximum": 3_600_000}
    page = call("GET", "/docs")
    assert page.status == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert sources
    for source in sources:  # nothing from another host, and every file exists
        assert source.startswith("/")
        assert call("GET", source).status == 200
