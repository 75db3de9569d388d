"""A browser plays Monica's streams to the end in an <audio> element."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import requests

from tests.support.server import Server
from tests.support.system import program

TEXT = "Rusmir mise tapis."
PAGE = b"""<!doctype html><meta charset="utf-8"><title>Monica</title><audio id="sound"></audio><script>
const sound = document.getElementById("sound");
const tell = (end) => fetch("/told", { method: "POST", body: JSON.stringify({
  end, seconds: sound.currentTime, error: sound.error && sound.error.message,
}) });
for (const end of ["ended", "error"]) sound.addEventListener(end, () => tell(end));
sound.src = "/sound";
sound.play().catch((error) => tell(String(error)));
</script>"""


class Site(ThreadingHTTPServer):
    """Serves a page with an <audio> element, and the stream it plays, because a browser requests that with GET."""

    def __init__(self, monica: Server, accept: str) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.monica, self.accept = monica, accept
        self.told: Queue[dict[str, Any]] = Queue()


class Visit(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        if self.path != "/sound":
            self._answer(200 if self.path == "/" else 404, PAGE if self.path == "/" else b"")
            return
        with requests.post(
            f"{self.server.monica.url}/blabla?stream=1",
            json={"text": TEXT}, headers={"Accept": self.server.accept}, stream=True, timeout=60,
        ) as stream:  # fmt: skip
            self.send_response(stream.status_code)
            self.send_header("Content-Type", stream.headers["Content-Type"])
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in stream.iter_content(None):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

    def do_POST(self) -> None:
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(204, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=["audio/wav", "audio/mpeg", "audio/ogg", "audio/flac", "audio/aac"])
def site(request: pytest.FixtureRequest, server: Server) -> Iterator[Site]:
    with Site(server, request.param) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield site
        site.shutdown()
        thread.join()


def test_chromium_plays_a_stream_to_the_end(site: Site, tmp_path: Path) -> None:
    chromium = program("chromium")
    with subprocess.Popen(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={tmp_path}",
            f"http://127.0.0.1:{site.server_address[1]}/",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as browser:  # fmt: skip
        try:
            told = site.told.get(timeout=90)
        finally:
            browser.terminate()
    whole = float(site.monica.say(TEXT).headers["X-Audio-Duration"].removesuffix("s"))
    assert told["end"] == "ended", told
    assert told["seconds"] == pytest.approx(whole, abs=0.3)
