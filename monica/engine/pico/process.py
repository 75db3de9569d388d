"""Pico's process as Monica sees it: a text goes in, samples come out, and it is replaced if it dies or hangs.

The library is not safe to have in a server: a word of 150 letters keeps it computing for ever, and two threads in it
give wrong samples. In a process of its own it can do neither to Monica.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monica.errors import SynthesisFailed

CHILD = Path(__file__).with_name("child.py")
MAX_WAIT_S = 10.0
"""How long an answer may take. A hang ends after CPU_SECONDS of processor time by itself; this is for a process that is
stopped, or on a machine that gives it no time."""
MAX_SOUND = 2**26
"""Upper bound on the bytes of an answer: half an hour of sound. No piece of a text comes near it."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    """The files of the package py-nanotts."""

    library: Path
    lingware: Path


def find_installation() -> Installation | None:
    """Find the package without importing it, which would load the library into this process. None if it is missing."""
    spec = importlib.util.find_spec("py_nanotts")
    for folder in (spec and spec.submodule_search_locations) or ():
        library = next(iter(sorted(Path(folder).glob("_nanotts*.so"))), None)
        if library is not None:
            return Installation(library, Path(folder) / "lang")
    return None


class PicoProcess:
    """One process that says one text at a time, started when it is first needed. Any thread may call it.

    It ends when this object does, and when the process that started it dies in whatever way: it then reads the end of
    its input. voice: Pico's name of a language, `fr-FR`.
    """

    def __init__(self, installation: Installation, voice: str) -> None:
        self._command = [
            sys.executable, "-I", "-S", str(CHILD), str(installation.library), str(installation.lingware), voice,
        ]  # fmt: skip
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._owner = 0
        self._end: weakref.finalize[..., PicoProcess] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is no process."""
        return self._process.pid if self._process else None

    def say(self, text: str) -> NDArray[np.int16]:
        """Return the samples of a text: (N,) at 16 kHz.

        If the process dies on it, or is found dead, another one is given the text once more. Raises SynthesisFailed if
        that one dies too, or if Pico reports an error.
        """
        with self._lock:
            try:
                return self._ask(text)
            except OSError as error:
                logger.warning("Pico's process is replaced: %s", self._discard(error))
            try:
                return self._ask(text)
            except OSError as error:
                raise SynthesisFailed(f"Pico cannot say this text: {self._discard(error)}.") from error

    def _ask(self, text: str) -> NDArray[np.int16]:
        """Ask the process, which is started if there is none. Raises OSError if it does not answer."""
        connection = self._connect()
        until = time.monotonic() + MAX_WAIT_S
        request = text.encode()
        connection.settimeout(MAX_WAIT_S)
        connection.sendall(len(request).to_bytes(4, "big") + request)
        length = int.from_bytes(_receive(connection, 4, until), "big", signed=True)
        if abs(length) > MAX_SOUND:
            raise OSError(f"it answers with {abs(length)} bytes")
        answer = _receive(connection, abs(length), until)
        if length < 0:
            raise SynthesisFailed(f"Pico cannot say this text ({answer.decode(errors='replace')}).")
        return np.frombuffer(answer, np.int16)

    def _connect(self) -> socket.socket:
        # After a fork the process is the parent's: two askers would hear each other's texts.
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

    def _discard(self, error: OSError) -> str:
        """End the process, so that the next text starts another. Returns what became of it."""
        process, self._process, self._socket = self._process, None, None
        if self._end is not None:
            self._end()
        if isinstance(error, TimeoutError):
            return f"it did not answer within {MAX_WAIT_S:.0f} s"
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
        # The group: Pico computes in a process of its own, forked from this one. Until `wait`, the number is theirs.
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
