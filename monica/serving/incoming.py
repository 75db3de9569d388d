"""A request while it arrives: whether enough of it is here for a thread to answer it, and whether it is too slow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from monica.admission import MAX_BODY_BYTES

MAX_HEAD_BYTES = 2**16
"""Upper bound on a request's head. gunicorn has stricter bounds on its lines and on their number."""
GRACE_S = 10
"""Seconds that a request may take from its first byte, however little of it arrives."""
MIN_RATE = 500
"""Bytes after which a request may take one second more."""
MAX_S = 30
"""Upper bound on the seconds that a request may take from its first byte until it is whole."""

_BARE_LF = re.compile(rb"(?<!\r)\n")
_FRAMING = re.compile(
    rb"\r\n(content-length|transfer-encoding|expect|authorization|x-api-key|cookie):[ \t]*([^\r\n]*)", re.IGNORECASE
)
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}(?=[ \t]*(?:;|$))")

Headers = Mapping[str, str]


class IncomingRequest:
    """The bytes of one request as they arrive, and those of the next one that arrive with them.

    It finds the end of the request, and nothing else. gunicorn parses it again, and its parser alone decides what the
    request says. If the two ever disagree, a thread waits for the rest, as it does for a large body.

    is_welcome: whether the body is worth waiting for, by the request's headers (in lower case, decoded as Latin-1).
    """

    def __init__(self, is_welcome: Callable[[Headers], bool]) -> None:
        self._is_welcome = is_welcome
        self._body_at: int | None = None
        self._at = 0
        """How far the search for the end has come; inside a chunked body, where the next chunk begins."""
        self._length: int | None = None
        """Bytes of the body. None if it comes in chunks."""
        self.data = bytearray()
        self.ready = False
        """Whether a thread can answer it now: it is whole, or malformed, or large, or refused without its body."""
        self.too_long = False
        """Whether its head has no end within the bound."""
        self.wants_continue = False
        """Whether its client waits for `100 Continue` before it sends the body."""
        self.began = 0.0
        """When its first byte arrived; a time of the monotonic clock."""

    def feed(self, data: bytes, now: float) -> None:
        """Take bytes from the connection."""
        if not self.data:
            self.began = now
        self.data += data
        if self._body_at is None:
            self._find_body()
        elif not self.ready:
            self._find_end()

    @property
    def has_head(self) -> bool:
        """Whether its head has arrived, so that there is someone to answer about the rest."""
        return self._body_at is not None

    @property
    def is_alone(self) -> bool:
        """Whether all of it has arrived, and nothing of the next one. False for a chunked body."""
        return self._body_at is not None and self._length is not None and len(self.data) == self._body_at + self._length

    def is_late(self, now: float) -> bool:
        """Whether it has had its time. What arrives lengthens that time, so that a slow but steady client is heard."""
        return bool(self.data) and now - self.began > min(GRACE_S + len(self.data) / MIN_RATE, MAX_S)

    def _find_body(self) -> None:
        start = 2 if self.data.startswith(b"\r\n") else 0  # gunicorn ignores one empty line, as HTTP asks
        end = self.data.find(b"\r\n\r\n", max(start, self._at - 3))
        # A head with a bare line feed never ends the way it is read. gunicorn refuses it.
        bare = _BARE_LF.search(self.data, self._at, len(self.data) if end < 0 else end)
        if bare or self.data.startswith(b"\r\n", start):
            self.ready = True
        elif end >= 0:
            self._at = self._body_at = end + 4
            self._read_framing(bytes(self.data[start : end + 2]))
        else:
            self._at = len(self.data)
            self.too_long = self._at > MAX_HEAD_BYTES

    def _read_framing(self, head: bytes) -> None:
        headers = {name.decode().lower(): value.decode("latin-1").strip() for name, value in _FRAMING.findall(head)}
        if "transfer-encoding" not in headers:
            length = headers.get("content-length", "0")
            self._length = int(length) if length.isdecimal() and len(length) < 20 else 0  # gunicorn refuses others
        self._find_end()
        if not self.ready:
            # A large body is read by a thread, and only if the application wants it. One that comes without the API key
            # is not waited for at all: the request is refused without it.
            self.ready = (self._length or 0) > MAX_BODY_BYTES or not self._is_welcome(headers)
            version = head.partition(b"\r\n")[0][-8:]
            self.wants_continue = version == b"HTTP/1.1" and headers.get("expect", "").lower() == "100-continue"

    def _find_end(self) -> None:
        arrived = len(self.data) - (self._body_at or 0)
        if self._length is None:
            self.ready = self._has_last_chunk() or arrived > MAX_BODY_BYTES
        else:
            self.ready = arrived >= self._length

    def _has_last_chunk(self) -> bool:
        """Whether a chunked body has ended, or is malformed. gunicorn tells which."""
        while (line_end := self.data.find(b"\r\n", self._at)) >= 0:
            size = _CHUNK_SIZE.match(bytes(self.data[self._at : line_end]))
            if size is None:
                return True
            if int(size[0], 16) == 0:  # then come trailers, and an empty line
                return self.data.startswith(b"\r\n", line_end + 2) or self.data.find(b"\r\n\r\n", line_end) >= 0
            after = line_end + 2 + int(size[0], 16) + 2
            if after > len(self.data):
                return False
            self._at = after
        return False
