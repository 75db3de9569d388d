"""Replicas without Ray: each a Speaker of its own, behind a proxy that hands requests around as Ray Serve's does."""

from __future__ import annotations

import asyncio
import itertools
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from monica.config import Settings
from monica.engine import Engine, wire
from monica.errors import MonicaError
from monica.replica.speaker import ForeignEngine, Speaker

TOKEN = "a-token-of-tests"


class Proxy:
    """What stands between a server and its replicas. A test breaks it."""

    def __init__(self, speakers: list[Speaker]) -> None:
        self.speakers = speakers
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """The path and the header of each request, in order."""
        self.voices_sent = 0
        self.refuse_with: list[int] = []
        """Statuses to answer the next requests with."""
        self.break_after: list[int] = []
        """The next takes are cut off after so many frames."""
        self.order: Iterator[int] = itertools.cycle(range(len(speakers)))
        """The numbers of the replicas that get the next requests."""

    def speaker(self) -> Speaker:
        return self.speakers[next(self.order)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        proxy, speaker = self.proxy, self.proxy.speaker()
        if proxy.refuse_with:
            self._send(proxy.refuse_with.pop(0), b"a fault that was asked for")
        elif not wire.is_authorized(self.headers["Authorization"], TOKEN):
            self._send(401, b"")
        elif self.path == wire.IDENTITY:
            self._send(200, speaker.identity().to_json())
        else:
            header, attachment = wire.unpack_request(body)
            proxy.requests.append((self.path, header))
            proxy.voices_sent += self.path == wire.TAKE and bool(attachment)
            try:
                speaker.check(header)
                self._ask(speaker, header, attachment)
            except ForeignEngine as error:
                self._send(409, str(error).encode())
            except ValueError as error:
                self._send(400, str(error).encode())
            except MonicaError as error:
                self._send(500, error.message.encode())

    def _ask(self, speaker: Speaker, header: dict[str, Any], attachment: bytes) -> None:
        if self.path == wire.VOICE:
            asyncio.run(speaker.learn_voice(header, attachment))
            self._send(200, b"")
        elif self.path == wire.CONDITIONALS:
            self._send(200, asyncio.run(speaker.make_conditionals(header, attachment)))
        else:
            with suppress(asyncio.CancelledError):
                asyncio.run(self._speak_to_client(speaker, header, attachment))

    async def _speak_to_client(self, speaker: Speaker, header: dict[str, Any], attachment: bytes) -> None:
        """Speak until the client hangs up, as Serve does."""
        speaking = asyncio.create_task(self._speak(speaker, header, attachment))
        while not (await asyncio.wait((speaking,), timeout=0.02))[0]:
            readable, _, _ = select.select((self.connection,), (), (), 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                speaking.cancel()
        await speaking

    async def _speak(self, speaker: Speaker, header: dict[str, Any], attachment: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        left = self.proxy.break_after.pop(0) if self.proxy.break_after else None
        async for frame in speaker.speak(header, attachment):
            if left == 0:
                self.close_connection = True
                return
            left = None if left is None else left - 1
            self.wfile.write(b"%x\r\n%b\r\n" % (len(frame), frame))
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def replicas(folder: Path, *engines: Engine) -> Iterator[tuple[Proxy, Settings]]:
    """Run a replica with each engine. Yields the proxy, and the settings of a server that uses it."""
    speakers = []
    for number, engine in enumerate(engines):
        speaker = Speaker(Settings(engine="espeak", cache_dir=folder / f"replica-{number}"), engine)
        speaker.start_and_wait(on_lost=lambda reason: None)
        speakers.append(speaker)
    proxy = Proxy(speakers)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    token = folder / "token"
    token.write_text(TOKEN)
    yield (
        proxy,
        Settings(
            engine="ray",
            ray_address=f"http://127.0.0.1:{server.server_port}",
            ray_token_file=token,
            cache_dir=folder / "cache",
        ),
    )
    server.shutdown()
    server.server_close()
    for speaker in speakers:
        speaker.scheduler.close()
