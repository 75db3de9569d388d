"""The gunicorn worker: gthread with a receiver in front of its threads, and a graceful shutdown behind them."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from gunicorn.http.message import Request
from gunicorn.util import http_date
from gunicorn.workers import base, gthread

from monica.admission import KEY_HEADER, SUBSCRIPTION, carries_key
from monica.serving.answer_socket import AnswerSocket
from monica.serving.body_reader import BodyReader
from monica.serving.broadcaster import Broadcaster
from monica.serving.gunicorn_patches import head_of, response_of, take_expectation
from monica.serving.incoming import Headers
from monica.serving.receiver import Connection, Receiver
from monica.session import is_session, session_of

if TYPE_CHECKING:
    from monica.api.repeats import Repeats

STOPPING_IDLE_S = 2
"""How long a stopping worker keeps idle connections, for a request that a client may already be sending."""
LARGE_BODIES = 4
"""One thread in this many may read a large body."""
HEARTBEAT_S = 1
NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

REPEATABLE = "monica.repeatable"
"""monica.api.repeats.REPEATABLE, which is not imported: the master, which imports this, has no use for Flask."""

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class DrainingWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """A gthread worker that is not stopped by slow clients, and lets running takes finish after SIGTERM.

    gthread gives every connection to a thread, which then waits for the request. As many slow clients as there are
    threads silence it. Here the main thread receives the requests, and threads only answer them.

    gthread closes its listener at once on SIGTERM, so the kernel refuses later clients without an explanation. While
    takes are running, this worker goes on accepting connections, so that new requests are answered `shutting_down`.
    """

    wsgi: Any
    receiver: Receiver
    _notified = 0.0
    repeats: Repeats
    service: Any = None
    """monica.service.Service. None during the start."""

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.service = self.wsgi.extensions["monica"]
        self.repeats = self.wsgi.extensions["monica-repeats"]
        self.broadcaster = Broadcaster()
        self._handed_over: set[socket.socket] = set()
        self.wsgi = self._handing_over(_learning(_announcing_close(self.wsgi), self.repeats))

    def run(self) -> None:
        self.receiver = Receiver(self.poller, self.enqueue_req, self._is_welcome, self.cfg.keepalive)
        self._places = threading.BoundedSemaphore(max(1, self.cfg.threads // LARGE_BODIES))
        self._stop_at: float | None = None
        super().run()

    def notify(self) -> None:
        """Tell the master that this worker is alive: once a second, and not after every event."""
        now = time.monotonic()
        if now - self._notified >= HEARTBEAT_S:
            self._notified = now
            super().notify()

    def accept(self, listener: socket.socket) -> None:
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in NO_DESCRIPTOR and not self.receiver.close_oldest():
                time.sleep(0.01)  # the listener stays readable: without a pause this would be a busy loop
            return
        connection = Connection(self.cfg, AnswerSocket.of(client), address, listener.getsockname())
        self.nr_conns += 1
        self.receiver.await_request(connection)
        self.murder_keepalived()

    def handle(self, conn: Connection) -> bool:
        """Answer a request that has arrived. Runs in a thread. Returns whether the connection stays open."""
        data, whole = bytes(conn.request.data), conn.request.is_alone
        conn.sock.begin_answer()
        # A stopping worker announces that it closes the connection, which a repeated answer does not.
        if whole and self.alive and (answer := self.repeats.answer(data, http_date)) is not None:
            return self._send(conn, *answer)
        if not conn.initialized:
            conn.init()
            conn.parser.unreader = BodyReader(conn.sock, self._places)
        conn.parser.unreader.start(data, whole)
        return bool(super().handle(conn))

    def _send(self, conn: Connection, head: bytes, body: bytes) -> bool:
        """Send an answer. Returns whether the client has received it."""
        try:
            try:
                sent = conn.sock.sendmsg([head, body], [], socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            if sent < len(head) + len(body):
                conn.sock.sendall((head + body)[sent:])  # which has a limit of time
        except OSError as error:  # BlockingIOError if the send timeout has expired
            self.log.debug("A client did not read its answer: %s", error)
            return False
        return True

    def handle_request(self, req: Request, conn: Connection) -> Any:
        # `wants_continue` is no longer true if the receiver has sent it.
        conn.parser.unreader.expects_continue = take_expectation(req) and conn.request.wants_continue
        return super().handle_request(req, conn)

    def finish_request(self, conn: Connection, fs: Future[bool]) -> None:
        """Take a connection back from its thread."""
        rest = conn.parser.unreader.finish() if conn.parser is not None else b""
        if conn.sock in self._handed_over:
            self._handed_over.discard(conn.sock)
            self.receiver.release(conn)
        elif not fs.cancelled() and fs.exception() is None and fs.result():
            self.receiver.await_request(conn, rest)
        else:
            self.receiver.linger(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the connections that have had their time, or are too many. gthread calls this after every event."""
        if not self.alive and self._stop_at is None:
            self._stop_at = time.monotonic() + STOPPING_IDLE_S
        if force:
            self.receiver.close()
        self.receiver.sweep(self._stop_at)
        while self.nr_conns - self.receiver.closed >= self.worker_connections and self.receiver.close_oldest():
            pass
        self.nr_conns -= self.receiver.closed
        self.receiver.closed = 0

    def handle_exit(self, sig: int, frame: Any) -> None:
        # In a thread: a signal handler must not wait, nor take a lock that the interrupted thread may hold.
        threading.Thread(target=self._drain, args=(sig, frame), name="drain", daemon=True).start()

    def handle_quit(self, sig: int, frame: Any) -> None:
        if self.service is not None:
            self.service.warmer.close()  # takes no lock that the interrupted main thread may hold
        # Not gthread's own handler, which shuts its thread pool down. The main thread, which this signal interrupts,
        # may be submitting to that pool and hold its lock.
        base.Worker.handle_quit(self, sig, frame)

    def _drain(self, sig: int, frame: Any) -> None:
        if self.service is not None:  # None if the signal comes during the start
            self.service.warmer.close()
            self.service.drain(self.cfg.graceful_timeout)
        super().handle_exit(sig, frame)

    def _is_welcome(self, headers: Headers) -> bool:
        """Whether a request's body is worth waiting for. Without the API key, if there is one, it is not read."""
        key = self.service.settings.api_key
        if key is None or carries_key(headers.get("authorization", ""), headers.get(KEY_HEADER.lower()), key):
            return True
        return is_session(session_of(headers.get("cookie", "")), key)

    def _handing_over(self, application: WSGI) -> WSGI:
        """Wrap an application so that an answer which is a stream of events goes on without a thread."""

        def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            result = application(environ, start_response)
            subscription = environ.pop(SUBSCRIPTION, None)
            if subscription is None:
                return result
            response = response_of(start_response)
            response.chunked = False  # what follows ends when the connection does
            response.force_close()
            response.send_headers()
            connection = environ["gunicorn.socket"]
            self._handed_over.add(connection)
            self.broadcaster.add(connection.dup(), subscription)
            if (close := getattr(result, "close", None)) is not None:
                close()
            return []

        return serve


def _announcing_close(application: WSGI) -> WSGI:
    """Wrap an application so that `Connection: close` is said in every answer after which the connection closes.

    gunicorn says `keep-alive` before it has tried to skip what the application left of the body. If it then cannot, it
    closes the connection under the client's next request.
    """

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = response_of(start_response)

        def start(*args: Any) -> Any:
            if not response.req.unreader.discard(response.req.body):
                response.force_close()
            return start_response(*args)

        return application(environ, start)

    return serve


def _learning(application: WSGI, repeats: Repeats) -> WSGI:
    """Wrap an application so that answers that can be repeated are remembered."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        result = application(environ, start_response)
        if (repeatable := environ.get(REPEATABLE)) is not None:
            response = response_of(start_response)
            asked = response.req.unreader.whole
            if asked and response.status_code == 200 and not response.should_close():
                repeats.learn(asked, repeatable, head_of(response))
        return result

    return serve
