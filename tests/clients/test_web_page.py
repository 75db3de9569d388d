"""A page of another origin uses the API in a real browser, and plays an address with an <audio> element."""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.support.server import Server
from tests.support.system import program

PAGE = """<!doctype html><meta charset="utf-8"><title>Scores</title><audio id="sound"></audio><script>
const monica = "MONICA";
const post = (text) => fetch(`${monica}/blabla`, {
  method: "POST", headers: { "Content-Type": "application/json", "X-API-Key": "x" }, body: JSON.stringify({ text }),
});
const play = (sound) => new Promise((resolve) => {
  sound.addEventListener("loadedmetadata", () => { sound.currentTime = sound.duration - 0.5; }, { once: true });
  sound.addEventListener("ended", () => resolve("ended"));
  sound.addEventListener("error", () => resolve(sound.error.message));
  sound.src = `${monica}/blabla?text=${encodeURIComponent("Élise double les mises, et toute la table se tait.")}`;
  sound.play().catch((error) => resolve(String(error)));
});
(async () => {
  const told = {};
  try {
    const said = await post("Tapis !");
    told.cache = said.headers.get("X-Monica-Cache");
    told.bytes = (await said.arrayBuffer()).byteLength;
    told.error = (await (await post(" ")).json()).error.code;
    const sound = document.getElementById("sound");
    told.played = await play(sound);
    told.seconds = sound.duration;
    told.seekable = sound.seekable.length;
  } catch (error) { told.failed = String(error); }
  await fetch("/told", { method: "POST", body: JSON.stringify(told) });
})();
</script>"""


class Page(ThreadingHTTPServer):
    """Serves the page, and receives what it tells."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.told: Queue[dict[str, Any]] = Queue()
        self.monica = ""


class Visit(BaseHTTPRequestHandler):
    server: Page

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if self.path == "/":
            self.wfile.write(PAGE.replace("MONICA", self.server.monica).encode())

    def do_POST(self) -> None:
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_page_of_another_origin_in_a_browser(tmp_path: Path) -> None:
    chromium = program("chromium")
    with Page() as page:
        thread = threading.Thread(target=page.serve_forever, args=(0.01,))
        thread.start()
        origin = f"http://127.0.0.1:{page.server_address[1]}"
        settings = {
            "MONICA_ENGINE": "espeak",
            "MONICA_CACHE_DIR": str(tmp_path / "cache"),
            "MONICA_GET_SPEECH": "on",
            "MONICA_CORS_ORIGINS": origin,
        }
        with Server(tmp_path, settings) as server:
            page.monica = server.wait_ready().url
            with subprocess.Popen(
                [
                    chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--no-first-run", "--autoplay-policy=no-user-gesture-required",
                    f"--user-data-dir={tmp_path / 'profile'}", origin,
                ],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            ) as browser:  # fmt: skip
                try:
                    told = page.told.get(timeout=90)
                finally:
                    browser.terminate()
            whole = server.say("Élise double les mises, et toute la table se tait.")
        page.shutdown()
        thread.join()
    assert (told["cache"], told["error"], told["played"]) == ("miss", "text_empty", "ended"), told
    assert told["bytes"] > 10_000
    assert told["seekable"] == 1
    assert told["seconds"] == pytest.approx(float(whole.headers["X-Audio-Duration"].rstrip("s")), abs=0.05)
