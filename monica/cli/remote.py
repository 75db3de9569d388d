"""A client for a running Monica, for the commands that need one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from monica.cli.group import fail
from monica.config import Settings
from monica.errors import MonicaError
from monica.store.phrase import shown
from monica.this_machine import is_loopback, read_token

TIMEOUT_S = 60.0
UNAVAILABLE = (502, 503, 504)
"""Statuses of a Monica that starts or stops, and of a proxy that cannot reach her."""


class Unavailable(MonicaError):
    """The server cannot be reached, or does not serve just now. retry_after is set if it answered and is only busy."""


class Refused(MonicaError):
    """The server refused the request, and asking again would not change that."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """End the command with one line if the server does not do what it is asked to."""
    try:
        yield
    except Refused as error:
        fail(f"the server refused: {shown(error.message)}")
    except (Unavailable, ValueError) as error:
        fail(shown(str(error)))


class Remote:
    """A running server.

    It is sent the API key of the settings. If there is none, a server on this machine is sent the token in the cache
    folder; no other server ever is.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        """url: http://host:port. Raises ValueError if it is not a server's address."""
        where = urlsplit(url)
        if where.scheme not in ("http", "https") or where.hostname is None:
            raise ValueError(f"{url} is not the address of a server: http://host:port")
        self.url = url
        self._kind = HTTPSConnection if where.scheme == "https" else HTTPConnection
        self._host, self._port, self._path = where.hostname, where.port, where.path.rstrip("/")
        key = settings.api_key
        if key is None and is_loopback(self._host):
            key = read_token(settings.cache_dir)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def ask(self, method: str, path: str, body: object = None, timeout: float = TIMEOUT_S) -> Any:
        """Return the JSON of the answer. Raises Unavailable if trying again later makes sense, else Refused."""
        answer = self.fetch(method, path, body, timeout)
        try:
            return json.loads(answer)
        except ValueError:
            raise Refused(f"{self.url} does not answer as Monica does") from None

    def fetch(self, method: str, path: str, body: object = None, timeout: float = TIMEOUT_S) -> bytes:
        """Return the body of the answer, whatever its type. Raises as `ask` does."""
        with self._open(method, path, body, timeout) as response:
            return response.read()

    @contextmanager
    def follow(self, path: str, silence_s: float) -> Iterator[HTTPResponse]:
        """Open an answer that does not end, to be read line by line.

        silence_s: how long the server may say nothing. Raises as `ask` does, and while reading what a connection can
        raise.
        """
        with self._open("GET", path, None, silence_s, reads_to_end=False) as response:
            yield response

    @contextmanager
    def _open(
        self, method: str, path: str, body: object, timeout: float, reads_to_end: bool = True
    ) -> Iterator[HTTPResponse]:
        """Return the answer if it is a good one. Raises Unavailable or Refused.

        reads_to_end: whether an error while it is read means, too, that no Monica answers.
        """
        sent = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = self._headers | ({"Content-Type": "application/json"} if sent else {})
        connection = self._kind(self._host, self._port, timeout=timeout)
        began = False
        try:
            connection.request(method, self._path + path, sent, headers)
            response = connection.getresponse()
            if response.status < 300:
                began = not reads_to_end
                yield response
                return
            answer = response.read()
        except (OSError, HTTPException) as error:
            if began:
                raise
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unavailable(f"no Monica answers at {self.url} ({reason})") from error
        finally:
            connection.close()
        code, message = None, f"{response.status} {response.reason}"
        with suppress(ValueError, TypeError, KeyError):
            wrong = json.loads(answer)["error"]
            code, message = wrong["code"], str(wrong["message"])
        if response.status in UNAVAILABLE and code != "cache_unusable":
            after = response.headers.get("Retry-After", "")
            raise Unavailable(message, retry_after=int(after) if after.isdecimal() else None)
        raise Refused(message, code=code)
