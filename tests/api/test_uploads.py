"""Voices added and removed over HTTP with the key, and refused if anything is wrong with them."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from monica import create_app
from monica.config import Settings
from monica.errors import ConfigError
from tests.conftest import started
from tests.support.engines import CloningToy, ToyEngine
from tests.support.recordings import UNUSABLE, phone_recording, record, recording

KEY = "une-clef"
ALLOWED = {"Authorization": f"Bearer {KEY}"}
PATH = "/v1/audio/voices"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "voices"
    folder.mkdir()
    return folder


@pytest.fixture
def uploads_on(tmp_path: Path, folder: Path) -> Settings:
    return Settings(
        engine="chatterbox",
        reference_audio=None,
        voices_dir=folder,
        voice_uploads=True,
        api_key=KEY,
        cache_dir=tmp_path / "cache",
    )


Serve = Callable[..., FlaskClient]


@pytest.fixture
def serve(uploads_on: Settings) -> Iterator[Serve]:
    services = []

    def serve(engine: ToyEngine, settings: Settings = uploads_on) -> FlaskClient:
        services.append(started(settings, engine))
        return create_app(service=services[-1]).test_client()

    yield serve
    for service in services:
        service.close()


@pytest.fixture
def toy() -> CloningToy:
    return CloningToy()


@pytest.fixture
def client(serve: Serve, toy: CloningToy) -> FlaskClient:
    return serve(toy)


def upload(client: FlaskClient, name: str, sound: bytes | None = None, **headers: str) -> TestResponse:
    sound = recording() if sound is None else sound
    form = {"name": name, "file": (io.BytesIO(sound), "../../voice.exe")}
    return client.post(PATH, data=form, headers=ALLOWED | headers)


def voices(client: FlaskClient) -> list[str]:
    return [voice["id"] for voice in client.get(PATH, headers=ALLOWED).get_json()["voices"]]


def say(client: FlaskClient, voice: str) -> TestResponse:
    return client.post("/blabla", json={"text": "Tapis !", "voice": voice, "seed": 1}, headers=ALLOWED)


def error(answer: TestResponse) -> dict[str, Any]:
    found: dict[str, Any] = answer.get_json()["error"]
    assert "/" not in found["message"].replace("multipart/form-data", ""), "the message contains a path"
    return found


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3", "M4A"])
def test_a_voice_is_added_and_speaks(
    client: FlaskClient, serve: Serve, toy: CloningToy, folder: Path, uploads_on: Settings, format: str
) -> None:
    sound = phone_recording("mp4", "aac") if format == "M4A" else recording(format=format)
    added = upload(client, "anna", sound)
    assert (added.status_code, added.get_json()) == (201, {"id": "anna", "name": "anna"})
    assert voices(client) == ["anna", "monica"]
    assert say(client, "anna").status_code == 200
    anna = toy.heard[-1]
    assert say(client, "monica").status_code == 200
    assert toy.heard[-1] != anna
    assert [path.name for path in folder.iterdir()] == [f"anna.{format.lower()}"]
    assert (folder / f"anna.{format.lower()}").read_bytes() == sound
    assert toy.made[-1][1] == "engine"
    assert "anna" in json.loads((uploads_on.cache_dir / "identity.json").read_bytes())["voices"]

    later = CloningToy()
    again = serve(later)
    assert say(again, "anna").headers["X-Monica-Cache"] == "hit"
    assert later.made == []


def test_a_voice_is_added_while_another_speaks(client: FlaskClient, toy: CloningToy) -> None:
    toy.gate.clear()
    with ThreadPoolExecutor() as pool:
        said = pool.submit(say, client.application.test_client(), "monica")
        assert toy.began.acquire(timeout=10)
        assert upload(client, "anna").status_code == 201
        assert not said.done()
        toy.gate.set()
        assert said.result().status_code == 200


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../anna", "/etc/anna", "a/b", "a\\b", "a.b", ".anna", "Anna", "zoé", "a b", "-a", "a\0", "a\n",
     "x" * 65, "x" * 300_000, "con.wav"],
)  # fmt: skip
def test_an_invalid_name_is_refused(client: FlaskClient, folder: Path, name: str) -> None:
    refused = upload(client, name)
    assert refused.status_code == 422
    assert (error(refused)["code"], error(refused)["param"]) == ("request_invalid", "name")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("what", sorted(UNUSABLE))
def test_an_unusable_recording_is_refused(client: FlaskClient, folder: Path, toy: CloningToy, what: str) -> None:
    made = len(toy.made)
    refused = upload(client, "anna", UNUSABLE[what])
    assert (refused.status_code, error(refused)["code"]) == (422, "recording_invalid")
    assert list(folder.iterdir()) == []
    assert voices(client) == ["monica"]
    assert len(toy.made) == made


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"data": {"name": "anna"}, "content_type": "multipart/form-data"}, "file: Missing"),
        ({"data": {"name": "anna"}}, "Content-Type must be multipart/form-data"),
        ({"data": {"name": "anna", "file": "not a file"}, "content_type": "multipart/form-data"}, "file: Missing"),
        ({"data": {"file": (io.BytesIO(b"x"), "a.wav")}}, "name: Missing"),
        ({"json": {"name": "anna"}}, "Content-Type must be multipart/form-data"),
        ({"data": b"RIFF", "content_type": "audio/wav"}, "Content-Type must be multipart/form-data"),
        ({"data": b"junk", "content_type": "multipart/form-data"}, "name: Missing"),
        ({"data": b"junk", "content_type": "multipart/form-data; boundary=x"}, "name: Missing"),
        ({}, "Content-Type must be multipart/form-data"),
    ],
)
def test_an_invalid_form_is_refused(client: FlaskClient, form: dict[str, Any], says: str) -> None:
    refused = client.post(PATH, headers=ALLOWED, **form)
    assert refused.status_code == 422
    assert says in error(refused)["message"]


@pytest.mark.parametrize("name", ["monica", "anna", "marc"])
def test_a_name_that_is_taken_is_refused(serve: Serve, folder: Path, name: str) -> None:
    record(folder, "anna.wav")
    (folder / "Marc.txt").write_bytes(b"not a recording, and yet someone's file")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    refused = upload(serve(CloningToy()), name, recording(1.7))
    assert (refused.status_code, error(refused)["code"], error(refused)["param"]) == (409, "voice_exists", "name")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_recording_that_breaks_the_model_is_refused(client: FlaskClient, folder: Path, toy: CloningToy) -> None:
    for error_, status in ((ConfigError("No voice can be cloned."), 422), (RuntimeError("index out of range"), 500)):
        toy.make_conditionals = _raising(error_)  # type: ignore[method-assign]
        refused = upload(client, "anna")
        assert refused.status_code == status
        assert "index" not in error(refused)["message"]
        assert list(folder.iterdir()) == []
    assert voices(client) == ["monica"]
    assert say(client, "monica").status_code == 200


def _raising(error: Exception) -> Callable[..., bytes]:
    def make_conditionals(_: object) -> bytes:
        raise error

    return make_conditionals


def test_an_engine_that_does_not_clone_in_time(
    serve: Serve, toy: CloningToy, uploads_on: Settings, folder: Path
) -> None:
    client = serve(toy, replace(uploads_on, deadline_s=0.2))
    toy.cloning.clear()
    late = upload(client, "anna")
    toy.cloning.set()
    assert (late.status_code, error(late)["code"]) == (504, "deadline_exceeded")
    assert list(folder.iterdir()) == []
    assert voices(client) == ["monica"]


def test_a_second_change_at_the_same_time_is_refused(client: FlaskClient, toy: CloningToy) -> None:
    toy.cloning.clear()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(upload, client.application.test_client(), "anna")
        while not client.application.extensions["monica"].uploads._changing.locked():
            assert not first.done()
        for refused in (upload(client, "zoe", recording(1.7)), client.delete(f"{PATH}/monica", headers=ALLOWED)):
            assert (refused.status_code, error(refused)["code"]) == (503, "overloaded")
            assert refused.headers["Retry-After"] == "5"
        toy.cloning.set()
        assert first.result().status_code == 201
    assert voices(client) == ["anna", "monica"]


def test_a_full_disk_is_reported(client: FlaskClient, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    refused = upload(client, "anna")
    assert (refused.status_code, error(refused)["code"]) == (503, "voices_unusable")
    assert error(refused)["message"] == "The recording cannot be kept: No space left on device."
    assert list(folder.iterdir()) == []


def test_leftovers_of_a_killed_upload_are_removed_at_the_next_start(
    serve: Serve, toy: CloningToy, folder: Path
) -> None:
    left, others = folder / ".incoming-left", folder / ".incoming-of-another-node"
    for path in (left, others):
        path.write_bytes(b"RIFF")
    os.utime(left, (0, 0))
    serve(toy)
    assert list(folder.iterdir()) == [others]


def test_a_voice_is_removed(client: FlaskClient, toy: CloningToy, folder: Path) -> None:
    upload(client, "anna", recording(1.2))
    upload(client, "zoe", recording(1.2))
    before = say(client, "anna").headers["ETag"]
    assert client.delete(f"{PATH}/anna", headers=ALLOWED).status_code == 204
    assert voices(client) == ["monica", "zoe"]
    assert say(client, "anna").status_code == 404
    assert [path.name for path in folder.iterdir()] == ["zoe.wav"]
    toy.loaded_voices.clear()
    made = len(toy.made)
    assert client.post("/blabla", json={"text": "À vous !", "voice": "zoe"}, headers=ALLOWED).status_code == 200
    assert toy.loaded_voices
    assert len(toy.made) == made  # both voices have the same conditionals
    assert upload(client, "anna", recording(1.4)).status_code == 201
    assert say(client, "anna").headers["ETag"] != before
    assert client.delete(f"{PATH}/anna", headers=ALLOWED).status_code == 204
    assert client.delete(f"{PATH}/zoe", headers=ALLOWED).status_code == 204
    store = client.application.extensions["monica"]._conditionals
    assert len(store.phrases()) == 1  # those of monica


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("monica", 403, "forbidden"), ("nobody", 404, "voice_unknown"), ("Anna", 404, "voice_unknown"),
     ("..%2Fx", 404, "not_found"), ("a%00", 404, "voice_unknown")],
)  # fmt: skip
def test_a_voice_that_cannot_be_removed(client: FlaskClient, name: str, status: int, code: str) -> None:
    refused = client.delete(f"{PATH}/{name}", headers=ALLOWED)
    assert (refused.status_code, error(refused)["code"]) == (status, code)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": KEY}])
def test_without_the_key_every_change_is_refused(client: FlaskClient, folder: Path, headers: dict[str, str]) -> None:
    record(folder, "anna.wav")
    form = {"name": "zoe", "file": (io.BytesIO(recording()), "a.wav")}
    assert client.post(PATH, data=form, headers=headers).status_code == 401
    assert client.delete(f"{PATH}/anna", headers=headers).status_code == 401
    assert [path.name for path in folder.iterdir()] == ["anna.wav"]


def test_uploads_that_are_off_are_refused(serve: Serve, uploads_on: Settings, folder: Path) -> None:
    record(folder, "anna.wav")
    client = serve(CloningToy(), replace(uploads_on, voice_uploads=False))
    for refused in (upload(client, "zoe"), client.delete(f"{PATH}/anna", headers=ALLOWED)):
        assert (refused.status_code, error(refused)["code"]) == (403, "forbidden")
        assert "MONICA_VOICE_UPLOADS is off" in error(refused)["message"]
    assert say(client, "anna").status_code == 200


def test_an_engine_that_clones_no_voices(serve: Serve, folder: Path) -> None:
    refused = upload(serve(ToyEngine()), "anna")
    assert (refused.status_code, error(refused)["message"]) == (403, "The engine that speaks here clones no voices.")
    assert list(folder.iterdir()) == []
