"""`?stream=1`: sent while it is made, identical to the whole take, and broken off if it fails."""

from __future__ import annotations

import io
import json
import socket
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any

import av
import pytest
import requests
import soundfile
from flask.testing import FlaskClient

from monica import create_app
from monica.audio.wav import HEADER_BYTES
from monica.config import Settings
from monica.errors import SynthesisFailed
from tests.conftest import Call, started
from tests.support import wire
from tests.support.engines import ToyEngine
from tests.support.faulty import Faults
from tests.support.server import Server
from tests.support.wire import connect, listen, metric, request_for, until

TEXT = "Pablo vient de se faire éliminer par Rusmir, et la salle se lève pour l'applaudir !"
LONG = " ".join(f"Le joueur numéro {n} quitte la table, et la finale continue sans lui." for n in range(7))
STREAM = "/blabla?stream=1"


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(tmp_path / "faults", unread_s=2)


@pytest.fixture
def slow(tmp_path: Path, faults: Faults) -> Iterator[Server]:
    """A Monica whose streams come in many chunks."""
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}
    with Server(tmp_path, settings | faults.settings) as server:
        server.wait_ready()
        with faults.on("piecewise"):
            yield server


class Listener:
    """A client that requests a stream and reads as much of it as it wants."""

    def __init__(self, server: Server, **headers: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        body = json.dumps({"text": TEXT})
        self._connection.request("POST", STREAM, body, {"Content-Type": "application/json"} | headers)
        self._answer = self._connection.getresponse()
        self.headers = self._answer.headers

    def read(self, count: int | None = None) -> bytes:
        return self._answer.read(count)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()
        self._connection.close()


def pcm_of(wav: bytes) -> bytes:
    return wav[HEADER_BYTES:]


def test_streamed_sound_equals_the_whole_one(call: Call) -> None:
    """Bit for bit, because the streamed sound is the one that is kept."""
    streamed = call("POST", STREAM, json={"text": TEXT})
    whole = call("POST", "/blabla", json={"text": TEXT})
    again = call("POST", STREAM, json={"text": TEXT})
    assert streamed.status == 200
    assert (whole.headers["X-Monica-Cache"], again.headers["X-Monica-Cache"]) == ("hit", "hit")
    assert streamed.headers["Content-Type"] == "audio/wav"
    assert "Content-Length" not in streamed.headers
    assert "ETag" not in streamed.headers
    assert "X-Audio-Duration" not in streamed.headers
    assert streamed.headers["X-Monica-Engine"] == "espeak"
    assert streamed.headers["X-Generation-Time"].endswith("s")
    assert len(pcm_of(streamed.body)) > 40_000
    assert pcm_of(streamed.body) == pcm_of(whole.body) == pcm_of(again.body)


def test_long_text_is_streamed_by_sentence_and_kept_whole(call: Call) -> None:
    streamed = call("POST", STREAM, json={"text": LONG})
    whole = call("POST", "/blabla", json={"text": LONG})
    assert whole.headers["X-Monica-Cache"] == "hit"
    assert pcm_of(streamed.body) == pcm_of(whole.body)


def test_header_of_a_streamed_wav_declares_an_unknown_length(client: FlaskClient) -> None:
    """Players know this value, and read until the end."""
    body = client.post(STREAM, json={"text": TEXT}).data
    assert body[4:8] == body[40:44] == b"\xff\xff\xff\xff"
    samples, rate = soundfile.read(io.BytesIO(body), dtype="int16")
    assert rate == 22_050
    assert samples.tobytes() == pcm_of(body)
    with wave.open(io.BytesIO(body)) as reader:
        assert reader.readframes(10**6) == pcm_of(body)


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_header_of_a_kept_sound_states_its_length(call: Call, format: str) -> None:
    """Nothing is made any more, so a player is told how long the sound is; also through OpenAI's API."""
    text = "La longueur est connue d'avance."
    whole = call("POST", "/blabla", json={"text": text}, headers={"Accept": f"audio/{format}"})
    streamed = call("POST", STREAM, json={"text": text}, headers={"Accept": f"audio/{format}"})
    asked = {"model": "monica", "voice": "monica", "input": text, "response_format": format}
    openai = call("POST", "/v1/audio/speech", json=asked | {"stream_format": "audio"})
    for kept in (streamed, openai):
        assert (kept.headers["X-Monica-Cache"], kept.body) == ("hit", whole.body)
        assert int(kept.headers["Content-Length"]) == len(kept.body)
        assert kept.headers["X-Audio-Duration"] == whole.headers["X-Audio-Duration"]
        found = soundfile.info(io.BytesIO(kept.body))
        assert f"{found.frames / found.samplerate:.2f}s" == kept.headers["X-Audio-Duration"]
    assert streamed.headers["ETag"] == whole.headers["ETag"]
    slower = call("POST", "/v1/audio/speech", json=asked | {"stream_format": "audio", "speed": 0.5})
    found = soundfile.info(io.BytesIO(slower.body))
    assert float(slower.headers["X-Audio-Duration"].rstrip("s")) == pytest.approx(
        found.frames / found.samplerate, abs=0.05
    )
    events = call("POST", "/v1/audio/speech", json=asked | {"stream_format": "sse"})
    assert events.headers["Content-Type"].startswith("text/event-stream")


@pytest.mark.parametrize("format", ["flac", "mp3", "opus", "aac", "pcm"])
def test_every_format_can_be_streamed(client: FlaskClient, format: str) -> None:
    accept = {"mp3": "audio/mpeg", "opus": "audio/ogg"}.get(format, f"audio/{format}")
    streamed = client.post(STREAM, json={"text": TEXT}, headers={"Accept": accept})
    whole = client.post("/blabla", json={"text": TEXT}, headers={"Accept": "audio/wav"})
    assert streamed.status_code == 200
    assert streamed.headers["Content-Type"].startswith(accept)
    if format == "pcm":
        assert streamed.data == pcm_of(whole.data)
    else:
        with av.open(io.BytesIO(streamed.data), "r") as sound:
            rate = sound.streams.audio[0].rate
            heard = sum(frame.samples for frame in sound.decode(audio=0)) / rate
        assert heard == pytest.approx(len(pcm_of(whole.data)) / 2 / 22_050, abs=0.15)


@pytest.mark.parametrize("value", ["", "2", "true", "yes", "1 ", "-1"])
def test_stream_must_be_1_or_0(client: FlaskClient, value: str) -> None:
    answer = client.post("/blabla", query_string={"stream": value}, json={"text": TEXT})
    assert answer.status_code == 422
    assert answer.get_json()["error"]["param"] == "stream"


def test_stream_0_is_not_streamed(client: FlaskClient) -> None:
    assert "Content-Length" in client.post("/blabla?stream=0", json={"text": TEXT}).headers


@pytest.mark.parametrize(("body", "status"), [({"text": ""}, 400), ({"text": "Bo", "voice": "x"}, 404), ({}, 422)])
def test_error_before_the_first_sound_is_an_error_response(call: Call, body: dict[str, str], status: int) -> None:
    answer = call("POST", STREAM, json=body)
    assert answer.status == status
    assert answer.json["error"]["message"]


def test_first_sound_comes_while_the_rest_is_made(slow: Server, faults: Faults) -> None:
    with Listener(slow) as first:
        beginning = first.read(HEADER_BYTES + 2)
        faults.switch("held", on=True)
        assert metric(slow, "monica_takes_total", outcome="ok") == 0
        with Listener(slow) as joined:  # receives it from its start
            assert joined.headers["X-Monica-Cache"] == "joined"
            assert joined.read(HEADER_BYTES + 2) == beginning
            faults.switch("held", on=False)
            rest = first.read()
            assert rest == joined.read()
    assert pcm_of(slow.say(TEXT).content) == pcm_of(beginning + rest)


def test_whole_request_may_join_a_stream(slow: Server) -> None:
    with Listener(slow) as streamed:
        whole = slow.say(TEXT)
        assert whole.headers["X-Monica-Cache"] == "joined"
        assert pcm_of(streamed.read()) == pcm_of(whole.content)


def test_stream_may_join_a_take_that_is_made_whole(slow: Server, faults: Faults) -> None:
    with faults.on("held"), ThreadPoolExecutor() as pool:
        asked = wire.ask(slow, TEXT)
        until(lambda: metric(slow, "monica_queue_wait_seconds_count", lane="live") == 1)
        joining = pool.submit(Listener, slow)
        faults.switch("held", on=False)
        with joining.result() as streamed:
            assert streamed.headers["X-Monica-Cache"] in ("joined", "hit")
            assert pcm_of(streamed.read()) == pcm_of(listen(asked).body)
    asked.close()


def test_error_in_the_middle_breaks_the_stream_off(slow: Server, faults: Faults) -> None:
    """The client can tell that the sound is incomplete."""
    with faults.on("torn"), Listener(slow) as streamed:
        with pytest.raises(IncompleteRead) as caught:
            streamed.read()
        assert len(caught.value.partial) > HEADER_BYTES
    until(lambda: "a stream is broken off after" in slow.log())
    assert "The sentence broke in the middle." in slow.log()
    assert "Traceback" not in slow.log()
    assert metric(slow, "monica_takes_total", outcome="remade") == 0
    assert slow.say(TEXT).headers["X-Monica-Cache"] == "miss"


def test_requests_library_notices_a_broken_stream(slow: Server, faults: Faults) -> None:
    with faults.on("torn"), pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.post(slow.url + STREAM, json={"text": TEXT}, timeout=60)


def test_deadline_in_the_middle_breaks_the_stream_off(slow: Server, faults: Faults) -> None:
    with Listener(slow, **{"X-Deadline-Ms": "900"}) as streamed, faults.on("held"):
        with pytest.raises(IncompleteRead):
            streamed.read()
        until(lambda: metric(slow, "monica_takes_total", outcome="deadline") == 1
              or metric(slow, "monica_takes_total", outcome="abandoned") == 1)  # fmt: skip
    assert "The deadline passed" in slow.log()


def test_shutdown_lets_streams_finish(slow: Server) -> None:
    with Listener(slow) as streamed:
        streamed.read(HEADER_BYTES)
        slow.terminate()
        assert len(streamed.read()) > 40_000
    assert slow.wait_exit() == 0


def test_hanging_up_in_the_middle_frees_the_engine(slow: Server, faults: Faults) -> None:
    with faults.on("held"):
        faults.switch("held", on=False)
        with Listener(slow) as streamed:
            streamed.read(HEADER_BYTES + 2)
            faults.switch("held", on=True)
        until(lambda: metric(slow, "monica_takes_total", outcome="abandoned") == 1)
    assert "Traceback" not in slow.log()
    assert slow.say("Tapis !").status_code == 200


def test_slow_reader_gets_everything_and_blocks_no_one(slow: Server) -> None:
    with connect(slow) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request_for(TEXT).replace(b"/blabla", b"/blabla?stream=1"))
        assert slow.say("Tapis !").status_code == 200
        whole = slow.say(TEXT)
        response = HTTPResponse(connection)
        response.begin()
        heard = b""
        while chunk := response.read(8192):
            heard += chunk
            time.sleep(0.002)
        response.close()
    assert pcm_of(heard) == pcm_of(whole.content)


def test_http_1_0_client_gets_the_whole_sound(server: Server) -> None:
    """HTTP/1.0 has no chunks, so a broken stream would look like the end."""
    with connect(server) as connection:
        connection.sendall(request_for(TEXT).replace(b"/blabla HTTP/1.1", b"/blabla?stream=1 HTTP/1.0"))
        heard = listen(connection)
    assert heard.status == 200
    assert int(heard.headers["Content-Length"]) == len(heard.body)


def test_unread_stream_releases_its_seat(client: FlaskClient) -> None:
    answer = client.post(STREAM, json={"text": TEXT}, buffered=False)
    answer.close()
    service: Any = client.application.extensions["monica"]
    seats = service.announcer._seats._value
    assert seats == service.settings.queue_size + service.settings.threads * 3 // 4


def test_embedded_voice_stands_in_for_a_stream(tmp_path: Path) -> None:
    settings = Settings(engine="espeak", cache_dir=tmp_path, fallback="espeak")
    toy = ToyEngine()
    toy.name = "chatterbox"
    service = started(settings, toy)
    client = create_app(service=service).test_client()
    toy.fail_with = SynthesisFailed("The engine is tired.")
    stand_in = client.post(STREAM, json={"text": TEXT})
    refused = client.post(STREAM, json={"text": TEXT, "fallback": False})
    service.close()
    assert (stand_in.status_code, stand_in.headers["X-Monica-Engine"]) == (200, "espeak")
    assert stand_in.headers["Cache-Control"] == "no-store"
    assert len(pcm_of(stand_in.data)) > 40_000
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (500, "synthesis_failed")
