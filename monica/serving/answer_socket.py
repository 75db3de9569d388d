"""A client's connection, on which an answer may not take as long as the client likes."""

from __future__ import annotations

import errno
import socket
import struct
import time
from typing import Any

STALL_S = 60
"""Seconds after which an answer is given up if the client reads nothing of it.

The kernel lets a thread go on only once a third of its buffer is free. A player that reads Opus at the pace of its
sound takes up to 50 s for that.
"""
GRACE_S = 60
"""Seconds that may be spent waiting for the client in one answer, however little it reads."""
MIN_RATE = 2048
"""Bytes after which one second more may be spent: half of what Opus, the smallest format, has for a second of sound."""
MAX_S = 1800
"""Upper bound on the seconds spent waiting in one answer. The longest text at the slowest speed has 24 minutes of
sound, and a bundle that takes longer can be resumed."""


class AnswerSocket(socket.socket):
    """A blocking socket that gives up a client which reads too slowly, since a thread waits for it.

    A limit of one wait alone would give up a client that reads nothing, and let one that reads a little now and then
    keep its thread forever. Only time spent waiting for the client counts, not what passes between two chunks of a
    stream, so live listeners are not affected: they wait for the sound. One who reads at the pace of the sound is fast
    enough in every format.
    """

    _waited = 0.0
    _sent = 0

    @classmethod
    def of(cls, accepted: socket.socket) -> AnswerSocket:
        """Take over a connection that was accepted."""
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        connection = cls(family, kind, protocol, fileno=accepted.detach())
        # Blocking for the threads; the receiver asks each call not to block. Not settimeout: it makes the socket
        # non-blocking, and the answer would leave it in fragments.
        connection.setblocking(True)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", STALL_S, 0))
        return connection

    def begin_answer(self) -> None:
        """Reset the counters."""
        self._waited, self._sent = 0.0, 0

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all of the data. Raises BlockingIOError if the client reads too slowly, or not at all."""
        rest = memoryview(data)
        while rest:
            if self._waited > min(GRACE_S + self._sent / MIN_RATE, MAX_S):
                raise BlockingIOError(errno.EAGAIN, "The client reads its answer too slowly.")
            began = time.monotonic()
            try:
                count = self.send(rest, flags)  # fewer than all of it once STALL_S has passed; none is an error
            finally:
                self._waited += time.monotonic() - began
            self._sent += count
            rest = rest[count:]
