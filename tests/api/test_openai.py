"""OpenAI's speech API: what its clients send and expect, through Flask and over a real socket."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any
from uuid import uuid4

import av
import numpy as np
import pytest
import soundfile
from flask.testing import FlaskClient

from monica import create_app
from monica.audio.formats import Format
from monica.audio.wav import wav_duration
from monica.config import Settings
from tests.conftest import Call, started
from tests.support.engines import ToyEngine

TEXT = "Pablo vient de se faire éliminer par Rusmir !"
BODY = {"model": "tts-1", "input": TEXT, "voice": "monica"}


def decoded(sound: bytes) -> tuple[float, int]:
    """Return the duration in seconds and the sample rate of an encoded sound."""
    with av.open(io.BytesIO(sound), "r") as container:
        frames = list(container.decode(audio=0))
    rate = int(frames[0].sample_rate)
    return sum(frame.samples for frame in frames) / rate, rate


@pytest.mark.parametrize("format", [format for format in Format if format is not Format.PCM])
def test_every_format_contains_the_whole_sentence(call: Call, format: Format) -> None:
    wav = call("POST", "/blabla", json={"text": TEXT})
    answer = call("POST", "/v1/audio/speech", json=BODY | {"response_format": format})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == format.content_type(22_050)
    assert answer.headers["Content-Disposition"] == f'inline; filename="monica{format.suffix}"'
    assert answer.headers["X-Monica-Cache"] == "hit"
    seconds, _ = decoded(answer.body)
    assert seconds == pytest.approx(wav_duration(wav.body), abs=0.15)


def test_default_format_is_mp3(call: Call) -> None:
    answer = call("POST", "/v1/audio/speech", json=BODY)
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.body[:2] in (b"\xff\xf3", b"\xff\xfb") or answer.body[:3] == b"ID3"


def test_pcm_has_the_rate_that_openai_defines(call: Call) -> None:
    wav = call("POST", "/blabla", json={"text": TEXT})
    answer = call("POST", "/v1/audio/speech", json=BODY | {"response_format": "pcm"})
    assert answer.headers["Content-Type"] == "audio/pcm;rate=24000"
    assert len(answer.body) / 2 / 24_000 == pytest.approx(wav_duration(wav.body), abs=0.01)


@pytest.mark.parametrize("speed", [0.5, 1.5, 4])
def test_speed_changes_the_duration(client: FlaskClient, speed: float) -> None:
    plain, fast = (
        client.post("/v1/audio/speech", json=BODY | {"response_format": "wav", "speed": each}) for each in (1, speed)
    )
    assert wav_duration(fast.data) == pytest.approx(wav_duration(plain.data) / speed, rel=0.03, abs=0.05)
    samples, _ = soundfile.read(io.BytesIO(fast.data), dtype="float32")
    assert np.abs(samples).max() > 0.1


def test_sound_is_encoded_once(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client.post("/v1/audio/speech", json=BODY | {"response_format": "opus"}).data

    def fail(*_: object) -> bytes:
        raise AssertionError("encoded again")

    monkeypatch.setattr("monica.store.encodings.encode_sound", fail)
    assert client.post("/v1/audio/speech", json=BODY | {"response_format": "opus"}).data == first


def test_new_take_is_encoded_again(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    accept = {"Accept": "audio/flac"}
    sounds = []
    for n in range(2):
        monkeypatch.setattr(
            "monica.synthesis.renderer.encode_wav", lambda samples, rate, n=n: _quieter(samples, rate, n)
        )
        sounds.append(client.post("/blabla", json={"text": TEXT}, headers=accept | {"Cache-Control": "no-cache"}).data)
    assert sounds[0] != sounds[1]
    assert client.post("/blabla", json={"text": TEXT}, headers=accept).data == sounds[1]


def _quieter(samples: Any, rate: int, n: int) -> bytes:
    from monica.audio.wav import encode_wav

    return encode_wav(samples / (1 + n), rate)


def test_voices_and_models_are_listed(call: Call) -> None:
    assert call("GET", "/v1/audio/voices").json == {"voices": [{"id": "monica", "name": "monica"}]}
    (model,) = call("GET", "/v1/models").json["data"]
    assert (model["id"], model["object"]) == ("monica", "model")
    assert call("GET", "/v1/models/monica").json == model
    unknown = call("GET", "/v1/models/tts-1")
    assert (unknown.status, unknown.json["error"]["code"]) == (404, "model_unknown")


def test_alias_of_a_voice_is_listed_and_speaks(settings: Settings) -> None:
    service = started(replace(settings, voice_aliases=(("alloy", "monica"), ("nova", "luc"))), ToyEngine())
    client = create_app(service=service).test_client()
    listed = client.get("/v1/audio/voices").get_json()["voices"]
    said = [client.post("/v1/audio/speech", json=BODY | {"voice": voice}) for voice in ("monica", "alloy", "nova")]
    service.close()
    assert listed == [{"id": "monica", "name": "monica"}, {"id": "alloy", "name": "alloy", "alias_of": "monica"}]
    assert [answer.status_code for answer in said] == [200, 200, 404]
    assert said[1].headers["X-Monica-Cache"] == "hit"


def test_unknown_fields_are_ignored(call: Call) -> None:
    body = BODY | {"instructions": "Speak like a pirate.", "voice": {"id": "monica"}, "novelty": [1], "speed": 1}
    assert call("POST", "/v1/audio/speech", json=body).status == 200


@pytest.mark.parametrize("field", ["response_format", "speed", "instructions", "stream_format", "seed", "language"])
def test_null_for_an_optional_field_is_its_default(call: Call, field: str) -> None:
    answer = call("POST", "/v1/audio/speech", json=BODY | {field: None})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/mpeg")


@pytest.mark.parametrize("field", ["seed", "temperature", "exaggeration", "cfg_weight"])
def test_fields_of_a_take_are_those_of_blabla(call: Call, field: str) -> None:
    text = f"Une phrase pour {field}, {uuid4().hex[:8]}."
    call("POST", "/blabla", json={"text": text})
    made = call("POST", "/v1/audio/speech", json=BODY | {"input": text, field: 1})
    assert made.headers["X-Monica-Cache"] == "miss"
    assert call("POST", "/blabla", json={"text": text, field: 1}).headers["X-Monica-Cache"] == "hit"


@pytest.mark.parametrize("language", ["fr", "FR", "fr-FR"])
def test_the_language_spoken_here_is_accepted(call: Call, language: str) -> None:
    assert call("POST", "/v1/audio/speech", json=BODY | {"language": language}).status == 200


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"voice": "alloy"}, 404, "voice_unknown", "voice"),
        ({"voice": "../etc/passwd"}, 404, "voice_unknown", "voice"),
        ({"voice": {"name": "monica"}}, 422, "request_invalid", "voice"),
        ({"voice": None}, 422, "request_invalid", "voice"),
        ({"response_format": "wma"}, 422, "request_invalid", "response_format"),
        ({"speed": 0.2}, 422, "request_invalid", "speed"),
        ({"speed": 4.1}, 422, "request_invalid", "speed"),
        ({"speed": "1"}, 422, "request_invalid", "speed"),
        ({"stream_format": "video"}, 422, "request_invalid", "stream_format"),
        ({"input": ""}, 400, "text_empty", "input"),
        ({"input": "x" * 501}, 400, "text_too_long", "input"),
        ({"input": 7}, 422, "request_invalid", "input"),
        ({"model": None}, 422, "request_invalid", "model"),
        ({"seed": -1}, 422, "request_invalid", "seed"),
        ({"temperature": "hot"}, 422, "request_invalid", "temperature"),
        ({"language": "en"}, 422, "request_invalid", "language"),
        ({"language": ""}, 422, "request_invalid", "language"),
    ],
)
def test_errors_name_the_field_of_openais_api(
    call: Call, change: dict[str, object], status: int, code: str, param: str
) -> None:
    answer = call("POST", "/v1/audio/speech", json=BODY | change)
    assert (answer.status, answer.json["error"]["code"], answer.json["error"]["param"]) == (status, code, param)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "audio/wav"),
        ("audio/*", "audio/wav"),
        ("audio/mpeg", "audio/mpeg"),
        ("audio/mpeg;q=0.5, audio/ogg", "audio/ogg; codecs=opus"),
        ("audio/flac, audio/wav;q=0.9", "audio/flac"),
        ("audio/pcm", "audio/pcm;rate=22050"),
        ("application/json", "audio/wav"),
        ("text/html, application/xhtml+xml", "audio/wav"),
        ("", "audio/wav"),
    ],
)
def test_blabla_honours_accept(call: Call, accept: str, content_type: str) -> None:
    answer = call("POST", "/blabla", json={"text": TEXT}, headers={"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.headers["Vary"] == "Accept"


def test_unknown_audio_format_is_not_acceptable(call: Call) -> None:
    answer = call("POST", "/blabla", json={"text": TEXT}, headers={"Accept": "audio/midi, audio/basic;q=0.5"})
    assert (answer.status, answer.json["error"]["code"]) == (406, "not_acceptable")
    assert "audio/mpeg" in answer.json["error"]["message"]


def test_etag_depends_on_the_format(call: Call) -> None:
    wav = call("POST", "/blabla", json={"text": TEXT})
    mp3 = call("POST", "/blabla", json={"text": TEXT}, headers={"Accept": "audio/mpeg"})
    assert mp3.headers["ETag"] == wav.headers["ETag"][:-1] + '.mp3"'
    for accept, etag, status in [
        ("audio/mpeg", mp3.headers["ETag"], 304),
        ("audio/mpeg", wav.headers["ETag"], 200),
        ("audio/wav", wav.headers["ETag"], 304),
    ]:
        headers = {"Accept": accept, "If-None-Match": etag}
        assert call("POST", "/blabla", json={"text": TEXT}, headers=headers).status == status
