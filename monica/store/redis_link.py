"""The connection to Valkey or Redis, and whether it can be used: a store that is away, hung or slow is left alone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from monica import metrics
from monica.errors import ConfigError

READ_S = 0.03
"""Longest wait of a request for an answer of the store."""
CONNECT_S = 0.1
"""Longest wait of a request for a connection."""
WORK_S = 1.0
"""Longest wait of a thread that no request waits for."""
PAUSE_S = 1.0
"""How long the store is left alone after a failure; twice as long after the next one, up to MAX_PAUSE_S."""
MAX_PAUSE_S = 30.0

ERRORS = (redis.RedisError, OSError, ValueError)
"""What talking to a store can raise. ValueError: what answers is not a store."""

REFUSALS = (redis.ResponseError, redis.AuthenticationError)
"""What a store raises that answers, but will not do it: trying again is of no use."""

T = TypeVar("T")
logger = logging.getLogger(__name__)


class RedisLink:
    """Two clients, one that is quick and one that is patient, and a breaker for both."""

    def __init__(self, url: str, password_file: Path | None) -> None:
        """Connects to nothing yet. Raises ConfigError if the address or the file is wrong; it shows no password."""
        options: dict[str, Any] = {"protocol": 2, "retry": Retry(NoBackoff(), 0), "health_check_interval": 0}
        if password_file is not None:
            try:
                options["password"] = password_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"MONICA_SHARED_STORE_PASSWORD_FILE={str(password_file)!r}: {error}") from error
        try:
            self.quick = redis.Redis.from_url(url, socket_timeout=READ_S, socket_connect_timeout=CONNECT_S, **options)
            self.patient = redis.Redis.from_url(url, socket_timeout=WORK_S, socket_connect_timeout=WORK_S, **options)
        except ValueError as error:
            raise ConfigError(f"MONICA_SHARED_STORE is not an address such as redis://store:6379 ({error}).") from error
        self._lock = threading.Lock()
        self._pause_s = PAUSE_S
        self._paused_until = 0.0
        self._down: str | None = "it has not answered yet"
        self._refusal: str | None = None
        metrics.shared_store_up.set(0)

    @property
    def state(self) -> str:
        """`ok`, or why the store is not used, or not written."""
        return self._down or self._refusal or "ok"

    @property
    def usable(self) -> bool:
        return self._down is None

    def attempt(self, operation: str, call: Callable[[], T], otherwise: T) -> T:
        """Return what a call gives, or `otherwise` if the store cannot be used, does not answer in time or refuses."""
        if not self.usable:
            metrics.shared_store_operations.labels(operation, "skipped").inc()
            return otherwise
        try:
            result = call()
        except redis.ResponseError as error:  # it answers, but will not do it: it is full, or read-only
            self._note_refusal(error)
            metrics.shared_store_operations.labels(operation, "refused").inc()
            return otherwise
        except ERRORS as error:
            self.note_failure(error)
            metrics.shared_store_operations.labels(operation, "failed").inc()
            return otherwise
        if operation == "read":  # what a patient thread gets says nothing about a request's 30 ms
            self._pause_s = PAUSE_S
        return result

    def note_failure(self, error: Exception) -> None:
        """Leave the store alone for a while."""
        with self._lock:
            began, self._down = self._down is None, describe(error)
            if time.monotonic() >= self._paused_until:
                self._paused_until = time.monotonic() + self._pause_s
                self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)
        metrics.shared_store_up.set(0)
        if began:
            logger.warning("shared store: it is not used (%s); takes are made and kept here", self._down)

    def note_written(self) -> None:
        """Note that the store takes what it is given."""
        self._refusal = None

    def probe(self) -> bool:
        """See whether a store that was left alone answers as fast as a request needs it. Returns whether it is used."""
        if self.usable:
            return True
        if time.monotonic() < self._paused_until:
            return False
        try:
            self.patient.ping()  # connects with patience: TLS takes its time
            self.quick.ping()
        except ERRORS as error:
            self.note_failure(error)
            return False
        with self._lock:
            self._down = None
        metrics.shared_store_up.set(1)
        logger.info("shared store: it is used")
        return True

    def _note_refusal(self, error: redis.ResponseError) -> None:
        refusal = describe(error)
        if self._refusal is None:
            logger.warning("shared store: %s; takes are made and kept here", refusal)
        self._refusal = refusal

    def close(self) -> None:
        self.quick.close()
        self.patient.close()


def take_name(prefix: str, key: str) -> str:
    """Return the name that a take has in the store."""
    return f"{prefix}:take:{key}"


def describe(error: Exception) -> str:
    """Say what is wrong with a store that raised this."""
    if isinstance(error, redis.OutOfMemoryError):
        return "it is full"
    if isinstance(error, redis.ResponseError):
        return f"it refuses: {error!s:.100}"
    if isinstance(error, redis.AuthenticationError):
        return "it refuses the password"
    if isinstance(error, redis.TimeoutError):
        return "it does not answer in time"
    if isinstance(error, redis.ConnectionError | OSError):
        return "it cannot be reached"
    return f"it does not answer as a store does ({type(error).__name__})"
