"""A server behind nginx whose answers the test decides: HTTP on a real socket, one thread per connection."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Call(BaseHTTPRequestHandler):
    """A request, and the means to answer it."""

    protocol_version = "HTTP/1.1"
    server: _Server
    body: bytes

    def do_GET(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_POST()

    def do_PUT(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.node.calls.append(self)
        self.server.node.answer(self)

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a complete answer. headers: names with _ instead of -."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        """Answer with an error in Monica's shape."""
        error = {"error": {"code": code, "message": "Of the node.", "param": None}}
        self.reply(status, json.dumps(error).encode(), Content_Type="application/json", Retry_After="7")

    def begin_stream(self) -> None:
        """Begin a chunked answer that asks nginx, as Monica does, not to buffer it."""
        self.send_response(200)
        self.send_header("X-Accel-Buffering", "no")
        self.send_header("Content-Type", "audio/wav")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, content: bytes) -> None:
        """Send a chunk of a stream. An empty one ends it."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def hang_up(self) -> None:
        self.close_connection = True

    def wait_hang_up(self) -> None:
        """Return once the other end has closed the connection."""
        assert self.connection.recv(1) == b""
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    node: Node

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # the client is gone, which tests do on purpose
            super().handle_error(request, client_address)


class Node:
    """A server that answers every request with `answer`. Use as a context manager."""

    def __init__(self, answer: Callable[[Call], None] = lambda call: call.reply(200, call.body)) -> None:
        self.answer = answer
        self.calls: list[Call] = []
        self._server = _Server(("127.0.0.1", 0), Call)
        self._server.node = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Node:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
