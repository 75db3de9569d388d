"""OpenAI's own SDKs for Python and Node against a real Monica: whole answers, streams and errors."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from pathlib import Path

import openai
import pytest
import soundfile
from openai import OpenAI

from monica.audio.wav import HEADER_BYTES
from tests.support import system
from tests.support.server import Server
from tests.support.system import program

TEXT = "Rusmir mise tapis, et Pablo réfléchit encore."
NODE = Path(__file__).parent / "node"


@pytest.fixture
def sdk(server: Server) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key="no-key-is-set", max_retries=0, timeout=60)


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "opus"])
def test_speech(sdk: OpenAI, format: str) -> None:
    sound = sdk.audio.speech.create(model="monica", voice="monica", input=TEXT, response_format=format)  # type: ignore[arg-type]
    samples, rate = soundfile.read(io.BytesIO(sound.read()))
    assert len(samples) / rate > 1


def test_speech_to_a_file(sdk: OpenAI, tmp_path: Path) -> None:
    """The example of OpenAI's own guide."""
    with sdk.audio.speech.with_streaming_response.create(
        model="tts-1", voice={"id": "monica"}, input=TEXT, instructions="Speak in a cheerful tone."
    ) as response:
        response.stream_to_file(tmp_path / "speech.mp3")
    assert soundfile.info(tmp_path / "speech.mp3").duration > 1


def test_a_stream_of_sound(sdk: OpenAI) -> None:
    whole = sdk.audio.speech.create(model="m", voice="monica", input=TEXT, response_format="pcm").read()
    with sdk.audio.speech.with_streaming_response.create(
        model="m", voice="monica", input=TEXT, response_format="pcm", stream_format="audio"
    ) as response:
        assert "content-length" not in response.headers
        streamed = b"".join(response.iter_bytes())
    assert len(whole) > 48_000
    assert abs(len(streamed) - len(whole)) <= 64  # one resampler ends chunk by chunk, the other knows the end


def test_a_stream_of_events(sdk: OpenAI) -> None:
    with sdk.audio.speech.with_streaming_response.create(
        model="m", voice="monica", input=TEXT, response_format="wav", stream_format="sse"
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    sound = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    seconds = (len(sound) - HEADER_BYTES) / 2 / 22_050
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["output_tokens"] == done["usage"]["total_tokens"] == round(25 * seconds)


def test_models_and_voices(sdk: OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == ["monica"]


def test_errors_become_exceptions_of_the_sdk(sdk: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        sdk.audio.speech.create(model="m", voice="nova", input=TEXT)
    assert (unknown.value.code, unknown.value.param) == ("voice_unknown", "voice")
    with pytest.raises(openai.BadRequestError) as empty:
        sdk.audio.speech.create(model="m", voice="monica", input=" ", extra_body={"stream_format": "sse"})
    assert (empty.value.code, empty.value.param) == ("text_empty", "input")
    with pytest.raises(openai.UnprocessableEntityError, match="speed"):
        sdk.audio.speech.create(model="m", voice="monica", input=TEXT, speed=9)


SCRIPT = """
import OpenAI from "openai";
const [baseURL] = process.argv.slice(2);
const sdk = new OpenAI({ baseURL, apiKey: "no-key-is-set", maxRetries: 0 });
const found = {};
const wanted = { model: "monica", voice: "monica", input: "Pablo relance, Rusmir suit.", response_format: "pcm" };
found.whole = (await (await sdk.audio.speech.create(wanted)).arrayBuffer()).byteLength;
const stream = await sdk.audio.speech.create({ ...wanted, stream_format: "audio" });
found.length = stream.headers.get("content-length");
found.streamed = 0;
for await (const piece of stream.body) found.streamed += piece.length;
const events = await sdk.audio.speech.create({ ...wanted, stream_format: "sse" });
found.types = [...new Set((await events.text()).split("\\n").filter(Boolean).map((l) => JSON.parse(l.slice(6)).type))];
for await (const model of sdk.models.list()) found.model = model.id;
try {
  await sdk.audio.speech.create({ ...wanted, voice: "nova" });
} catch (error) {
  found.error = [error.constructor.name, error.status, error.code];
}
console.log(JSON.stringify(found));
"""


def test_sdk_for_node(server: Server, tmp_path: Path) -> None:
    node = program("node")
    if not (NODE / "node_modules" / "openai").is_dir():
        reason = "OpenAI's SDK for Node is not installed: npm ci --prefix tests/clients/node"
        if system.REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    script = tmp_path / "say.mjs"
    script.write_text(SCRIPT)
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    done = subprocess.run([node, script, f"{server.url}/v1"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["whole"] > 48_000
    assert abs(found["streamed"] - found["whole"]) <= 64
    assert found["length"] is None
    assert found["types"] == ["speech.audio.delta", "speech.audio.done"]
    assert found["model"] == "monica"
    assert found["error"] == ["NotFoundError", 404, "voice_unknown"]
