"""An answer that is sent while its sentence is made: chunked, and broken off where the sound is."""

from __future__ import annotations

import base64
import errno
import json
import logging
import time
from collections.abc import Iterator

import numpy as np
from flask import Response, request

from monica.audio.formats import Format, StreamEncoder
from monica.audio.stretch import Stretcher
from monica.audio_stream import AudioStream
from monica.errors import HungUp, InvalidRequest, MonicaError

TOKENS_A_SECOND = 25
"""Of sound: what OpenAI's clients are told of a stream's cost."""
EVENTS = "text/event-stream"

logger = logging.getLogger(__name__)


def wants_stream() -> bool:
    """Tell whether the request asks for its sound while it is made: `?stream=1`. Raises InvalidRequest."""
    asked = request.args.get("stream", "0")
    if asked not in ("0", "1"):
        raise InvalidRequest("stream is 1 or 0.", param="stream")
    return asked == "1" and can_stream()


def can_stream() -> bool:
    """Tell whether an answer may end anywhere: in HTTP/1.0 nobody could tell a broken one from a whole one."""
    return str(request.environ.get("SERVER_PROTOCOL")) != "HTTP/1.0"


def stream(
    audio: AudioStream, format: Format, *, speed: float = 1.0, rate: int | None = None, events: bool = False
) -> Response:
    """Make the answer of a audio. events: whether it is sent as OpenAI's server-sent events."""
    kind = format.content_type(rate or audio.rate)
    response = Response(_sent(audio, format, speed, rate, events), content_type=EVENTS if events else kind)
    response.call_on_close(audio.chunks.close)
    response.headers["Content-Disposition"] = f'inline; filename="monica{format.suffix}"'
    response.headers["X-Monica-Cache"] = audio.source
    response.headers["X-Monica-Engine"] = audio.engine
    response.headers["X-Accel-Buffering"] = "no"  # nginx is to pass on what it gets
    if audio.key is None:
        response.headers["Cache-Control"] = "no-store"
    return response


def _sent(audio: AudioStream, format: Format, speed: float, rate: int | None, events: bool) -> Iterator[bytes]:
    """Encode pieces as they come. What keeps the next from coming breaks the connection: no short file looks whole."""
    encoder, stretcher = StreamEncoder(format, audio.rate, rate), Stretcher(audio.rate, speed)
    wrap = _delta if events else bytes
    began, seconds = time.monotonic(), 0.0
    try:
        for piece in audio.chunks:
            pcm = np.frombuffer(piece, "<i2")
            seconds += len(pcm) / audio.rate / speed
            data = encoder.encode_chunk(
                pcm if speed == 1 else stretcher.stretch_chunk(pcm.astype(np.float32) / np.float32(32768))
            )
            if data:
                yield wrap(data)
    except MonicaError as error:
        if not isinstance(error, HungUp):
            logger.error("a stream is broken off after %.2f s of audio: %s", seconds, error)
        # gunicorn closes the connection without the last chunk, and has nothing to say of it.
        raise BrokenPipeError(errno.EPIPE, "The stream was broken off.") from error
    rest = encoder.encode_chunk(stretcher.stretch_end()) + encoder.encode_end()
    if rest:
        yield wrap(rest)
    if events:
        yield _done(seconds)
    logger.info("streamed %.2f s of audio in %.2f s", seconds, time.monotonic() - began)


def _delta(data: bytes) -> bytes:
    """Source: platform.openai.com/docs/api-reference/audio/speech-audio-delta-event."""
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})


def _done(seconds: float) -> bytes:
    said = round(seconds * TOKENS_A_SECOND)
    usage = {"input_tokens": 0, "output_tokens": said, "total_tokens": said}
    return _event({"type": "speech.audio.done", "usage": usage})


def _event(content: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"
