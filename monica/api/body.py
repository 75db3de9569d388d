"""How a request's body is read: within its limit, whole or not at all, and as JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NoReturn, cast
from urllib.parse import unquote_to_bytes

import flask
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge
from werkzeug.utils import cached_property

from monica.api.content_encoding import InvalidEncoding, UnsupportedEncoding, gunzip, is_gzip
from monica.errors import InvalidJson, InvalidRequest, MonicaError, Overloaded, RequestTimeout

BODY_ERRORS = (InvalidEncoding, RequestTimeout, UnsupportedEncoding, Overloaded)
"""What reading a body may raise at any endpoint, beside BodyTooLarge. Overloaded: too many others are read already."""


class Request(flask.Request):
    """A request whose body never seems to end before its end, and which is decoded if it was sent as gzip."""

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The query. Raises InvalidRequest if it is not UTF-8.

        Werkzeug leaves such parts percent-encoded, as if someone had written them so, and fails on bytes as they are.
        """
        try:
            unquote_to_bytes(self.query_string).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidRequest("The query is not UTF-8, percent-encoded.") from error
        query: MultiDict[str, str] = super().args
        return query

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body. Raises RequestEntityTooLarge at once if its declared length is over `max_content_length`.

        The limit is that of what the body is decoded to, too. Raises UnsupportedEncoding.

        Werkzeug's own stream ends silently at the limit if the body has no declared length. A large chunked body would
        be cut, and then be called malformed or even be accepted.
        """
        limit = self.max_content_length
        if limit is not None and (self.content_length or 0) > limit:
            raise RequestEntityTooLarge
        is_compressed = is_gzip(self.headers.get("Content-Encoding", ""))
        body = cast(IO[bytes], BodyStream(self.environ["wsgi.input"], limit, self.content_length))
        return cast(IO[bytes], BodyStream(gunzip(body), limit, None)) if is_compressed else body


class BodyStream(io.RawIOBase):
    """A body with a limit.

    stream: the server's stream, which ends where the body ends.
    limit: bytes that the body may have; None if there is no limit.
    length: bytes that it says it has; None if it comes in chunks.

    Reading raises RequestEntityTooLarge if the body is longer than `limit`, and ClientDisconnected if it is shorter
    than `length`.
    """

    def __init__(self, stream: IO[bytes], limit: int | None, length: int | None) -> None:
        self._stream = stream
        self._limit = limit
        self._length = length
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._take(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        pieces = iter(lambda: self._take(2**20), b"")
        return b"".join(pieces)

    def _take(self, size: int) -> bytes:
        if self._count == self._length:
            return b""
        if self._limit is not None:  # one byte more than is allowed tells a body that is too long from one that is not
            size = min(size, self._limit + 1 - self._count)
        data = self._stream.read(size)
        self._count += len(data)
        if self._limit is not None and self._count > self._limit:
            raise RequestEntityTooLarge
        if not data and self._length is not None:
            raise ClientDisconnected
        return data


def read_body(request: flask.Request) -> bytes:
    """Read a JSON body. Raises InvalidJson if it breaks off or is of another type, or one of BODY_ERRORS."""
    if not request.is_json:
        raise InvalidJson("The Content-Type must be application/json.")
    with reading(InvalidJson):
        return request.get_data()


@contextmanager
def reading(broken: type[MonicaError] = InvalidRequest) -> Iterator[None]:
    """Translate errors while a body is read. Raises `broken` if it breaks off."""
    try:
        yield
    except (OSError, BadRequest, ParseException) as error:
        raise broken("The body broke off before its end.") from error


def decode(body: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises InvalidJson, which says where the error is."""
    try:
        fields = json.loads(body, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        byte = f"byte 0x{error.object[error.start]:02X} at offset {error.start}"
        raise InvalidJson(
            f"The body is not UTF-8: {byte}. PowerShell 5 sends Windows-1252 unless it is given UTF-8 bytes."
        ) from error
    except json.JSONDecodeError as error:
        problem = error.msg.removesuffix(" at")
        raise InvalidJson(f"The body is not JSON: line {error.lineno}, column {error.colno}: {problem}.") from error
    except RecursionError as error:
        raise InvalidJson("The body is not JSON that Monica can read: it is nested too deeply.") from error
    except ValueError as error:
        raise InvalidJson("The body is not JSON that Monica can read: a number has too many digits.") from error
    if not isinstance(fields, dict):
        raise InvalidJson("The body must be a JSON object.")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(f"The body is not JSON: {name} is not a number there.")
