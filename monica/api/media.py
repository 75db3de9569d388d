"""The format of a sound: which one the client accepts, and the response that carries it."""

from __future__ import annotations

from flask import Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import PreconditionFailed

from monica.api.current import service
from monica.audio.formats import MEDIA_TYPES, Format
from monica.audio.wav import wav_rate
from monica.audio_stream import AudioStream
from monica.errors import NotAcceptable
from monica.speech import Announcement
from monica.synthesis.take import Source

RESUMABLE_HEADERS = {"ETag": {"schema": {"type": "string"}}, "Accept-Ranges": {"schema": {"type": "string"}}}
"""The headers of a response that `make_resumable` has made, for the OpenAPI document."""
RESUMED_RESPONSES = {
    "206": {"description": "The part of it that Range asks for."},
    "304": {"description": "What If-None-Match names is still current."},
}
"""What `make_resumable` answers beside 200 and its errors, for the OpenAPI document."""


def choose_format(accepted: MIMEAccept) -> Format:
    """Choose the format the client prefers: WAV if it states no preference, or names no audio format at all.

    Raises NotAcceptable if it names audio formats, and Monica makes none of them.
    """
    best = accepted.best_match(list(MEDIA_TYPES))
    if best is not None:
        return MEDIA_TYPES[best]
    if any(name.startswith("audio/") for name in accepted.values()):
        raise NotAcceptable(f"Monica speaks in these: {', '.join(MEDIA_TYPES)}.")
    return Format.WAV


def sound_response(
    announcement: Announcement, format: Format, *, speed: float = 1.0, rate: int | None = None
) -> Response:
    """Return the response that carries an announcement. rate: in hertz; None for the announcement's own."""
    sound = service().encodings.encode(
        announcement.wav, format, speed=speed, rate=rate, keep=announcement.key is not None
    )
    response = Response(sound, content_type=format.content_type(rate or wav_rate(announcement.wav)))
    response.headers["X-Audio-Duration"] = f"{announcement.duration_s / speed:.2f}s"
    set_sound_headers(response, announcement, format)
    return response


def make_resumable(response: Response, size: int) -> Response:
    """Answer If-None-Match, and Range and If-Range, for a response that has an ETag of its bytes.

    size: bytes of the whole. Raises RequestedRangeNotSatisfiable, or PreconditionFailed for If-Match.
    """
    # Werkzeug answers 416 to several ranges, to other units and to what is no range. RFC 9110, section 14.2, has a
    # server ignore those, and a range of anything but GET.
    asked = request.range
    usable = request.method == "GET" and asked is not None and asked.units == "bytes" and len(asked.ranges) == 1
    if usable and asked is not None and asked.ranges[0][1] is None and -asked.ranges[0][0] > size:
        usable = False  # more of the end than there is: that is all of it
    response.make_conditional(request, accept_ranges=True, complete_length=size if usable else None)
    if response.status_code == 412:
        raise PreconditionFailed
    return response


def outcome(source: Source, response: Response) -> str:
    """Return what the log says of a response with sound."""
    return f"{source} streamed" if response.is_streamed else f"{source} {response.headers['X-Audio-Duration']} of audio"


def set_sound_headers(response: Response, sound: Announcement | AudioStream, format: Format) -> None:
    """Set the headers that every sound has, whether it is sent whole or streamed."""
    response.headers["Content-Disposition"] = f'inline; filename="monica{format.suffix}"'
    response.headers["X-Monica-Cache"] = sound.source
    response.headers["X-Monica-Engine"] = sound.engine
    if sound.key is None:
        # The embedded voice stood in. No proxy may keep its sound either, or it would answer for the engine later.
        response.headers["Cache-Control"] = "no-store"
