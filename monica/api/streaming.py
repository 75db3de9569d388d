"""A response that is sent while its sentence is made: chunked, and broken off if the sound fails."""

from __future__ import annotations

import base64
import errno
import json
import logging
import time
from collections.abc import Iterator

import numpy as np
from flask import Response, request

from monica.api.media import set_sound_headers, sound_response
from monica.audio.formats import Format, StreamEncoder
from monica.audio.stretch import Stretcher
from monica.audio_stream import AudioStream
from monica.errors import HungUp, InvalidRequest, MonicaError

TOKENS_PER_SECOND = 25
"""Tokens per second of sound, in the `usage` that OpenAI's clients expect at the end of a stream."""
EVENTS = "text/event-stream"

logger = logging.getLogger(__name__)


def wants_stream() -> bool:
    """Whether the request asks for a stream, `?stream=1`, and can get one. Raises InvalidRequest for other values."""
    asked = request.args.get("stream", "0")
    if asked not in ("0", "1"):
        raise InvalidRequest("stream is 1 or 0.", param="stream")
    return asked == "1" and can_stream()


def can_stream() -> bool:
    """Whether the client can detect a stream that breaks off. HTTP/1.0 has no chunks: the break looks like the end."""
    return str(request.environ.get("SERVER_PROTOCOL")) != "HTTP/1.0"


def stream_response(
    audio: AudioStream, format: Format, *, speed: float = 1.0, rate: int | None = None, events: bool = False
) -> Response:
    """Return the response that streams a sound. events: whether it is sent as OpenAI's server-sent events.

    A sound that exists already is sent whole if that makes its header state its length. The other formats have no such
    header, and to encode a page of text to MP3 takes seconds, so those are sent as they are encoded.
    """
    if audio.announcement is not None and format.states_length and not events:
        return sound_response(audio.announcement, format, speed=speed, rate=rate)
    content_type = EVENTS if events else format.content_type(rate or audio.rate)
    response = Response(_encode_stream(audio, format, speed, rate, events), content_type=content_type)
    response.call_on_close(audio.chunks.close)
    response.headers["X-Accel-Buffering"] = "no"  # nginx must pass chunks on as they come
    set_sound_headers(response, audio, format)
    return response


def _encode_stream(audio: AudioStream, format: Format, speed: float, rate: int | None, events: bool) -> Iterator[bytes]:
    """Encode chunks as they come. An error breaks the connection, so that a truncated file never looks complete."""
    encoder, stretcher = StreamEncoder(format, audio.rate, rate), Stretcher(audio.rate, speed)
    wrap = _delta if events else bytes
    began, seconds = time.monotonic(), 0.0
    try:
        for chunk in audio.chunks:
            pcm = np.frombuffer(chunk, "<i2")
            seconds += len(pcm) / audio.rate / speed
            data = encoder.encode_chunk(
                pcm if speed == 1 else stretcher.stretch_chunk(pcm.astype(np.float32) / np.float32(32768))
            )
            if data:
                yield wrap(data)
    except MonicaError as error:
        if not isinstance(error, HungUp):
            logger.error("a stream is broken off after %.2f s of audio: %s", seconds, error)
        # gunicorn then closes the connection without the last chunk, and logs nothing.
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
    tokens = round(seconds * TOKENS_PER_SECOND)
    usage = {"input_tokens": 0, "output_tokens": tokens, "total_tokens": tokens}
    return _event({"type": "speech.audio.done", "usage": usage})


def _event(content: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"
