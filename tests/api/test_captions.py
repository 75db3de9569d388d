"""The times of a phrase's words: over HTTP, with a sound in OpenAI's API, on the command line, and in bundles."""

from __future__ import annotations

import hashlib
import io
from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from monica import create_app
from monica.audio.wav import wav_duration
from monica.cli.cache import cache
from monica.config import Settings
from monica.service import Service
from monica.store.bundle import Bundle, export
from monica.store.hearing import Hearing, Verdict
from monica.store.phrase import KeptPhrase
from tests.conftest import local_client
from tests.support.ears import spread

TEXT = "La table sept attend Rusmir !"
WORDS = ["La", "table", "sept", "attend", "Rusmir !"]
BODY = {"model": "monica", "input": TEXT, "voice": "monica", "response_format": "wav"}


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return local_client(create_app(service=service))


@pytest.fixture
def phrase(client: FlaskClient, service: Service) -> KeptPhrase:
    """Keep a phrase that has not been listened to."""
    assert client.post("/blabla", json={"text": TEXT}).status_code == 200
    (phrase,) = service.catalogue.phrases()
    return phrase


def hear(service: Service, phrase: KeptPhrase, *, times: bool = True) -> None:
    """Note what an ear heard of a phrase: every word, each as long as the others."""
    metadata, sound = phrase.metadata(), service.catalogue.read_sound(phrase)
    digest = hashlib.sha256(sound).hexdigest()
    words = spread(TEXT, metadata.seconds) if times else ()
    heard = Hearing(Verdict.GOOD, digest, "base", TEXT, TEXT, None, (), words=words)
    assert service.catalogue.put(phrase.key, sound, replace(metadata, heard=heard))


def speech(client: FlaskClient, **changes: object) -> Any:
    answer = client.post("/v1/audio/speech", json=BODY | {"timestamps": True} | changes)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert "Content-Disposition" not in answer.headers
    return answer.get_json()


def test_the_words_of_a_phrase_have_times(client: FlaskClient, service: Service, phrase: KeptPhrase) -> None:
    hear(service, phrase)
    found = client.get(f"/v1/phrases/{phrase.key[:12]}/words")
    assert found.status_code == 200
    each = phrase.metadata().seconds / 5
    words = [
        {"word": word, "start_s": round(n * each, 3), "end_s": round((n + 1) * each, 3)} for n, word in enumerate(WORDS)
    ]
    seconds = phrase.metadata().seconds
    assert found.get_json() == {"key": phrase.key, "seconds": seconds, "verdict": "good", "words": words}


def test_a_phrase_without_times_says_why(client: FlaskClient, service: Service, phrase: KeptPhrase) -> None:
    def refused() -> tuple[int, str, str]:
        answer = client.get(f"/v1/phrases/{phrase.key}/words")
        error = answer.get_json()["error"]
        return answer.status_code, error["code"], error["message"].partition(" ")[2].partition(" ")[2]

    assert refused() == (409, "words_unknown", "has not been listened to: monica cache listen.")
    hear(service, phrase, times=False)  # as an older Monica did
    why = "was listened to, but not for its words: monica cache listen --again."
    assert refused() == (409, "words_unknown", why)
    hear(service, phrase)
    assert client.get(f"/v1/phrases/{phrase.key}/words").status_code == 200
    # Another take has not been heard, whoever keeps the metadata of the old one.
    noted = service.catalogue.get(phrase.key)
    assert noted is not None
    service.catalogue.put(phrase.key, service.catalogue.read_sound(phrase) + b"\0\0", noted.metadata())
    assert refused()[1] == "words_unknown"
    unknown = client.get("/v1/phrases/abc/words")
    assert (unknown.status_code, unknown.get_json()["error"]["code"]) == (404, "entry_unknown")


@pytest.mark.parametrize("speed", [1, 2])
def test_a_sound_comes_with_the_times_of_its_words(
    client: FlaskClient, service: Service, phrase: KeptPhrase, speed: float
) -> None:
    hear(service, phrase)
    answer = speech(client, speed=speed)
    assert answer["audio_format"] == "audio/wav"
    plain = client.post("/v1/audio/speech", json=BODY | {"speed": speed})
    assert b64decode(answer["audio"]) == plain.data
    assert [each["word"] for each in answer["timestamps"]] == WORDS
    assert answer["timestamps"][0]["start_time"] == 0
    assert answer["timestamps"][-1]["end_time"] == pytest.approx(wav_duration(plain.data), abs=0.02)
    assert answer["timestamps_missing"] is None


def test_a_sound_that_was_not_heard_comes_without_times_and_says_so(
    client: FlaskClient, service: Service, phrase: KeptPhrase
) -> None:
    answer = speech(client)
    assert len(b64decode(answer["audio"])) == phrase.size
    assert (answer["timestamps"], "has not been listened to" in answer["timestamps_missing"]) == (None, True)
    hear(service, phrase)
    # A live take is not listened to, even if another of the phrase was.
    other = speech(client, seed=7)
    assert (other["timestamps"], bool(other["timestamps_missing"])) == (None, True)


def test_a_sound_has_no_times_of_another_take(
    client: FlaskClient, service: Service, phrase: KeptPhrase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a new take is not kept because it has a fault, and the old one that was heard stays."""
    hear(service, phrase)
    announce = service.announcer.announce
    other = client.post("/v1/audio/speech", json=BODY | {"seed": 7}).data
    monkeypatch.setattr(service.announcer, "announce", lambda *asked: replace(announce(*asked), wav=other))
    answer = speech(client)
    assert b64decode(answer["audio"]) == other
    assert (answer["timestamps"], bool(answer["timestamps_missing"])) == (None, True)


def test_words_have_no_times_in_a_stream(client: FlaskClient) -> None:
    for stream_format in ("audio", "sse"):
        refused = client.post("/v1/audio/speech", json=BODY | {"timestamps": True, "stream_format": stream_format})
        assert (refused.status_code, refused.get_json()["error"]["param"]) == (422, "timestamps")
    assert client.post("/v1/audio/speech", json=BODY | {"timestamps": "yes"}).status_code == 422


def test_the_times_go_with_bundles(service: Service, phrase: KeptPhrase) -> None:
    hear(service, phrase)
    file = io.BytesIO()
    assert export(service.catalogue, service.catalogue.phrases(), file) == []
    service.catalogue.remove([phrase])
    assert Bundle(file, 2**30).import_into(service.catalogue).new == 1
    (imported,) = service.catalogue.phrases()
    assert imported.words() == spread(TEXT, phrase.metadata().seconds)


def test_on_the_command_line(
    service: Service, phrase: KeptPhrase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONICA_CACHE_DIR", str(settings.cache_dir))
    unheard = CliRunner().invoke(cache, ["words", phrase.key[:8]])
    assert (unheard.exit_code, "has not been listened to" in unheard.output) == (1, True)
    hear(service, phrase)
    shown = CliRunner().invoke(cache, ["words", phrase.key[:8]])
    lines = shown.output.splitlines()
    assert (shown.exit_code, lines[0].split()[2], lines[4].split()[2:]) == (0, "La", ["Rusmir", "!"])
