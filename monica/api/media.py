"""The format of an answer: what the client accepts, and how it is sent."""

from __future__ import annotations

from flask import Response
from werkzeug.datastructures import MIMEAccept

from monica.api.current import service
from monica.audio.formats import MEDIA_TYPES, Format
from monica.audio.wav import wav_rate
from monica.errors import NotAcceptable
from monica.speech import Announcement


def choose_format(accepted: MIMEAccept) -> Format:
    """Choose the format the client likes best; WAV where he does not care, or speaks of no sound at all.

    Raises NotAcceptable where he names kinds of sound, and none that Monica makes.
    """
    best = accepted.best_match(list(MEDIA_TYPES))
    if best is not None:
        return MEDIA_TYPES[best]
    if any(name.startswith("audio/") for name in accepted.values()):
        raise NotAcceptable(f"Monica speaks in these: {', '.join(MEDIA_TYPES)}.")
    return Format.WAV


def answer(announcement: Announcement, format: Format, *, speed: float = 1.0, rate: int | None = None) -> Response:
    """Make the answer of an announcement, with the headers that are its own in any format."""
    sound = service().encodings.encode(
        announcement.wav, format, speed=speed, rate=rate, keep=announcement.key is not None
    )
    response = Response(sound, content_type=format.content_type(rate or wav_rate(announcement.wav)))
    response.headers["Content-Disposition"] = f'inline; filename="monica{format.suffix}"'
    response.headers["X-Audio-Duration"] = f"{announcement.duration_s / speed:.2f}s"
    response.headers["X-Monica-Cache"] = announcement.source
    response.headers["X-Monica-Engine"] = announcement.engine
    if announcement.key is None:
        # What the embedded voice said in Chatterbox's place must not be kept by a proxy either.
        response.headers["Cache-Control"] = "no-store"
    return response
