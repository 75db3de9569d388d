"""A sound together with the times of its words, in one answer."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

from flask import Response, json

from monica.api.current import service
from monica.errors import MonicaError
from monica.speech import Announcement
from monica.store.hearing import TimedWord
from monica.store.phrase import WordsUnknown, shown


def add_captions(response: Response, announcement: Announcement, speed: float) -> None:
    """Turn a response that carries a sound into one that carries the times of its words, too. It keeps its headers.

    The sound is answered whether they are known or not. speed: how much faster than the take it is.
    """
    timestamps: list[dict[str, Any]] | None = None
    missing = None
    try:
        timestamps = [
            {
                "word": shown(each.text),
                "start_time": round(each.start_s / speed, 3),
                "end_time": round(each.end_s / speed, 3),
            }
            for each in _words(announcement)
        ]
    except MonicaError as error:
        missing = error.message
    captioned = {
        "audio": b64encode(response.get_data()).decode(),
        "audio_format": response.headers["Content-Type"],
        "timestamps": timestamps,
        "timestamps_missing": missing,
    }
    response.set_data(json.dumps(captioned))
    response.headers["Content-Type"] = "application/json"
    del response.headers["Content-Disposition"]


def _words(announcement: Announcement) -> tuple[TimedWord, ...]:
    """Return the words of this very sound. Raises WordsUnknown or CacheError."""
    phrase = None if announcement.key is None else service().catalogue.get(announcement.key)
    # Another take may have been kept meanwhile, and this one may not be kept at all.
    if phrase is None or phrase.sha256 != hashlib.sha256(announcement.wav).hexdigest():
        raise WordsUnknown("This sound has not been listened to.")
    return phrase.words()
