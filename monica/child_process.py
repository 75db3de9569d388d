"""A process of Monica's own that answers one request at a time, and is replaced if it dies or hangs.

Both ways, a message is a length (4 bytes, big-endian, signed) and that many bytes. An answer with a negative length is
the reason why there is no other. Whoever starts such a process has it end at the end of its input.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import threading
import time
import weakref
from collections.abc import Sequence

logger = logging.getLogger(__name__)


class Refusal(Exception):
    """The process answered with the reason why it has no other answer."""


class ProcessDied(Exception):
    """The process died or hung on a request, and so did the one that was given it next. The message says how."""


class ChildProcess:
    """One process, started when it is first needed. Any thread may ask it.

    It ends when this object does, and when the process that started it dies in whatever way: it then reads the end of
    its input.
    """

    def __init__(self, name: str, command: Sequence[str], max_answer: int) -> None:
        """name: how the log calls it. max_answer: upper bound on the bytes of an answer."""
        self._name = name
        self._command = list(command)
        self._max_answer = max_answer
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._owner = 0
        self._end: weakref.finalize[..., ChildProcess] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is no process."""
        return self._process.pid if self._process else None

    def ask(self, request: bytes, max_wait_s: float) -> bytes:
        """Return the answer to a request.

        If the process dies on it, is found dead or does not answer in time, another one is given it once more.
        Raises Refusal, or ProcessDied if that one dies too.
        """
        with self._lock:
            try:
                return self._ask(request, max_wait_s)
            except OSError as error:
                logger.warning("%s's process is replaced: %s", self._name, self._discard(error, max_wait_s))
            try:
                return self._ask(request, max_wait_s)
            except OSError as error:
                raise ProcessDied(self._discard(error, max_wait_s)) from error

    def close(self) -> None:
        """End the process, if there is one. The next request starts another."""
        with self._lock:
            self._discard(OSError(), 0)

    def _ask(self, request: bytes, max_wait_s: float) -> bytes:
        """Ask the process, which is started if there is none. Raises OSError if it does not answer."""
        connection = self._connect()
        until = time.monotonic() + max_wait_s
        connection.settimeout(max_wait_s)
        connection.sendall(len(request).to_bytes(4, "big") + request)
        length = int.from_bytes(_receive(connection, 4, until), "big", signed=True)
        if abs(length) > self._max_answer:
            raise OSError(f"it answers with {abs(length)} bytes")
        answer = _receive(connection, abs(length), until)
        if length < 0:
            raise Refusal(answer.decode(errors="replace"))
        return answer

    def _connect(self) -> socket.socket:
        # After a fork the process is the parent's: two askers would hear each other's answers.
        if self._socket is None or self._owner != os.getpid():
            ours, theirs = socket.socketpair()
            with theirs:
                # A process group of its own: Ctrl-C in a terminal ends Monica, who finishes her takes first. And if
                # Monica dies while the process is stopped, the kernel continues it, so that it ends (POSIX: what
                # happens to a process group that becomes an orphan).
                self._process = subprocess.Popen(  # noqa: S603  the command is ours
                    self._command, stdin=theirs.fileno(), stdout=theirs.fileno(), cwd="/", process_group=0
                )
            self._socket, self._owner = ours, os.getpid()
            self._end = weakref.finalize(self, _end, self._process, ours, os.getpid())
        return self._socket

    def _discard(self, error: OSError, max_wait_s: float) -> str:
        """End the process, so that the next request starts another. Returns what became of it."""
        process, self._process, self._socket = self._process, None, None
        if self._end is not None:
            self._end()
        if isinstance(error, TimeoutError):
            return f"it did not answer within {max_wait_s:.0f} s"
        code = process.returncode if process else None
        return f"it was ended by signal {-code}" if code is not None and code < 0 else "it broke off"


def _receive(connection: socket.socket, count: int, until: float) -> bytes:
    """Receive `count` bytes. Raises OSError at the end of the stream or when `until` has passed."""
    data = bytearray()
    while len(data) < count:
        connection.settimeout(max(until - time.monotonic(), 0.001))
        part = connection.recv(min(count - len(data), 2**18))
        if not part:
            raise ConnectionResetError
        data += part
    return bytes(data)


def _end(process: subprocess.Popen[bytes], connection: socket.socket, owner: int) -> None:
    """End a process, and take note of its end so that no zombie remains."""
    connection.close()
    if owner == os.getpid():
        # The group: a process may have forked others. Until `wait`, the number is theirs.
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
