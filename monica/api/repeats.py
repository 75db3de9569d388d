"""Requests that come again byte for byte, and are answered without Flask."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import g, request

from monica import metrics
from monica.announcer import Announcer
from monica.api.access import SANE_ID, record_answer
from monica.logs import request_id
from monica.speech import Announcement, SpeechRequest
from monica.synthesis.take import Source

MAX_REMEMBERED = 512
"""Upper bound on the requests that are remembered."""
MAX_BYTES = 4096
"""Upper bound on the length of such a request."""
REPEATABLE = "monica.repeatable"
"""The key in a WSGI environment under which the view leaves a `Repeatable`."""

_ID = re.compile(rb"\r\nX-Request-Id:[ \t]*([^\r\n]*)", re.IGNORECASE)
_CHANGING = {"Date", "X-Request-Id", "X-Generation-Time"}
"""The headers that are not the same for every answer."""


@dataclass(frozen=True, slots=True)
class Repeatable:
    """An answer that is decided by the bytes of its request, and by what is kept for it."""

    speech: SpeechRequest
    """What was asked for."""
    key: str
    """What its sound is kept under."""
    size: int
    """Bytes of the sound. Another take of the same phrase has the same key, but hardly the same length."""
    method: str
    path: str
    endpoint: str
    """The rule of the path, as the metrics name it."""
    outcome: str
    """What the log says of it."""


def mark_repeatable(speech: SpeechRequest, sound: Announcement) -> None:
    """Say that the current request would be answered the same way again, if it is answered with a kept sound as it is
    kept."""
    if sound.source is Source.HIT and sound.key is not None and request.url_rule is not None:
        request.environ[REPEATABLE] = Repeatable(
            speech, sound.key, len(sound.wav), request.method, request.path, request.url_rule.rule, g.outcome
        )


class Repeats:
    """Remembers how requests were answered, and answers them again. Every method may be called from any thread.

    A backend asks for the same phrase with the same bytes each time. gunicorn, Werkzeug and Flask take several times as
    long to find out what they mean as it takes to look the sound up. So an answer says what the answer to the same
    bytes said before; only the date, the id and the time are new. Whatever can change meanwhile (the lexicon, the
    voices, the engine, the sound itself) is looked up again. If anything is different, or not in memory, Flask serves
    the request.

    Rejected: a short way through Flask, which could not spare most of that; and to answer in the main thread, which
    saves handing requests over, but would make every connection wait for a full log.
    """

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._answers: dict[bytes, tuple[Repeatable, str]] = {}
        self._lock = threading.Lock()

    def learn(self, asked: bytes, repeatable: Repeatable, head: Sequence[str]) -> None:
        """Remember an answer. asked: the whole request. head: the lines of the answer's head, each with its end."""
        known = _without_id(asked)
        if known is None:
            return
        with self._lock:
            self._answers.pop(known[0], None)
            self._answers[known[0]] = repeatable, _template(head)
            if len(self._answers) > MAX_REMEMBERED:
                del self._answers[next(iter(self._answers))]

    def answer(self, asked: bytes, date: Callable[[], str]) -> tuple[bytes, bytes] | None:
        """Return the head and the body of the answer to a whole request; None if Flask has to serve it.

        date: returns the Date header of now.
        """
        began = time.perf_counter()
        known = _without_id(asked)
        if known is None or (answer := self._answers.get(known[0])) is None:
            return None
        repeatable, template = answer
        sound = self._announcer.repeat(repeatable.speech, repeatable.key, repeatable.size)
        if sound is None:
            return None
        request_id.set(known[1] or secrets.token_hex(16))
        took = time.perf_counter() - began
        head = template % {"Date": date(), "X-Request-Id": request_id.get(), "X-Generation-Time": f"{took:.2f}s"}
        metrics.time_to_first_audio.observe(took)
        metrics.speech_duration.labels(Source.HIT).observe(took)
        record_answer(repeatable.method, repeatable.path, repeatable.endpoint, 200, took, repeatable.outcome)
        return head.encode("latin-1"), sound


def _without_id(asked: bytes) -> tuple[bytes, str] | None:
    """Return a request without its id, which is different each time, and the id, if there is one.

    None if it is not worth remembering, or its id is one that would be replaced.
    """
    if len(asked) > MAX_BYTES:
        return None
    found = _ID.search(asked)
    if found is None:
        return asked, ""
    rest = asked[: found.start()] + asked[found.end() :]
    sent = found[1].decode("latin-1")
    return (rest, sent) if SANE_ID.fullmatch(sent) and _ID.search(rest) is None else None


def _template(head: Sequence[str]) -> str:
    """Return the head of an answer, with places for what changes."""
    lines = []
    for line in head:
        name = line.partition(":")[0]
        lines.append(f"{name}: %({name})s\r\n" if name in _CHANGING else line.replace("%", "%%"))
    return "".join(lines) + "\r\n"
