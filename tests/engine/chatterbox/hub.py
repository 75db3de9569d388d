"""A small hub on 127.0.0.1: it serves what hf_hub_download requests, and can break a connection on request."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from monica.engine.chatterbox.checkpoint import MEANFLOW_FILE, TURBO_REVISION

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NEXT_COMMIT = "76543210fedcba9876543210fedcba9876543210"


@dataclass
class Hub:
    files: dict[str, bytes]
    """The files of the repositories, the same at every commit."""
    main: str = COMMIT
    turbo_revisions: tuple[str, ...] = (TURBO_REVISION,)
    """The commits of Turbo's repository, which has only the MeanFlow decoder."""
    moves_after: str | None = None
    """The file after whose download `main` moves to NEXT_COMMIT."""
    break_after: dict[str, int] = field(default_factory=dict)
    """Number of bytes after which the next download of a file breaks off, once."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, file and Range header of every request."""
    url: str = ""

    def etag(self, name: str) -> str:
        """Return the SHA-256 of a large file, or git's SHA-1 of a small one."""
        content = self.files[name]
        if name.endswith(".json"):
            return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return hashlib.sha256(content).hexdigest()


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            match = re.fullmatch(r"/ResembleAI/chatterbox(-turbo)?/resolve/([^/]+)/([^/?]+)", self.path)
            name = match[3] if match else self.path
            asked = self.headers.get("Range")
            hub.requests.append((self.command, name, asked))
            revisions = hub.turbo_revisions if match and match[1] else ("main", COMMIT, NEXT_COMMIT)
            if match is None or match[2] not in revisions:
                return self.refuse("RevisionNotFound")
            if name not in hub.files or (name == MEANFLOW_FILE) != bool(match[1]):
                return self.refuse("EntryNotFound")
            content = hub.files[name]
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0  # type: ignore[index]
            self.send_response(206 if asked else 200)
            self.send_header("ETag", f'"{hub.etag(name)}"')
            self.send_header("X-Repo-Commit", hub.main if match[2] == "main" else match[2])
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content) - start))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if body:
                end = hub.break_after.pop(name, len(content))
                self.wfile.write(content[start:end])
                if end < len(content):
                    self.close_connection = True
                if name == hub.moves_after:
                    hub.main = NEXT_COMMIT
            return None

        def refuse(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
