"""The files of a voice: found, downloaded once from a small hub, and checked."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from monica.cli.installation import prefetch
from monica.config import Settings
from monica.engine.piper import files, spec
from monica.engine.piper.published import PUBLISHED, REVISION, PublishedVoice
from monica.errors import ConfigError, ModelUnavailable

NAME = "fr_FR-toy-medium"
PATH = f"fr/fr_FR/toy/medium/{NAME}.onnx"
MODEL = bytes(range(256)) * 4 * 24 * 1024
CONFIG = b"{}"
SETTINGS = Settings(piper_voice=NAME)


@dataclass
class Hub:
    contents: dict[str, bytes] = field(default_factory=lambda: {PATH: MODEL, f"{PATH}.json": CONFIG})
    break_after: int | None = None
    """Number of bytes after which the next download of the model breaks off, once."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Revision, file and Range header of every download."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            match = re.fullmatch(r"/rhasspy/piper-voices/resolve/([^/]+)/(.+)", self.path)
            content = hub.contents.get(match[2]) if match else None
            if match is None or content is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            asked = self.headers.get("Range")
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0  # type: ignore[index]
            self.send_response(206 if asked else 200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", match[1])
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content) - start))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if body:
                hub.requests.append((match[1], match[2], asked))
                end = len(content)
                if match[2] == PATH and hub.break_after is not None:
                    end, hub.break_after, self.close_connection = hub.break_after, None, True
                self.wfile.write(content[start:end])

        def log_message(self, *_: object) -> None: ...

    import huggingface_hub.constants  # here: where the extra is not installed, the tests are skipped

    published = PublishedVoice(PATH, hashlib.sha256(MODEL).hexdigest(), hashlib.sha256(CONFIG).hexdigest(), "CC0")
    monkeypatch.setitem(PUBLISHED, NAME, published)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        constants = huggingface_hub.constants
        for name, value in (
            ("HF_HUB_OFFLINE", False),
            ("HF_HUB_CACHE", str(tmp_path / "hub")),
            ("ENDPOINT", url),
            ("HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"),
        ):
            monkeypatch.setattr(constants, name, value)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield hub
        server.shutdown()


def test_a_voice_is_fetched_at_its_pinned_revision_and_only_once(hub: Hub) -> None:
    assert files.find(SETTINGS) is None
    fetched = files.download(SETTINGS)
    assert (fetched.model.read_bytes(), fetched.config.read_bytes()) == (MODEL, CONFIG)
    assert files.find(SETTINGS) == fetched
    assert hub.requests == [(REVISION, PATH, None), (REVISION, f"{PATH}.json", None)]
    files.download(SETTINGS)
    assert len(hub.requests) == 2
    assert len(fetched.digest()) == 64


def test_a_download_that_broke_off_continues_and_shows_its_progress(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.break_after = 13 * 2**20
    monkeypatch.setenv("TQDM_POSITION", "-1")  # the hub's bars are for terminals; this shows them here too
    monkeypatch.setenv("MONICA_ENGINE", "piper")
    monkeypatch.setenv("MONICA_LISTEN", "off")
    monkeypatch.setenv("MONICA_PIPER_VOICE", NAME)
    done = CliRunner().invoke(prefetch, catch_exceptions=False)
    assert done.stdout.splitlines()[-1].endswith("licence of its recordings: CC0")
    assert [asked for _, name, asked in hub.requests if name == PATH] == [None, f"bytes={10 * 2**20}-"]
    found = files.find(SETTINGS)
    assert found is not None
    assert found.model.read_bytes() == MODEL
    shown = done.stderr + capfd.readouterr().err
    assert re.search(rf"{NAME}\.onnx: .*/25\.2M", shown)
    assert "100%" in shown


def test_a_wrong_checksum_is_refused_and_removed(hub: Hub) -> None:
    hub.contents[PATH] = MODEL[:-1] + b"x"
    with pytest.raises(ModelUnavailable, match=rf"{NAME}\.onnx from the hub has the checksum [0-9a-f]+ instead of"):
        files.download(SETTINGS)
    assert files.find(SETTINGS) is None
    hub.contents[PATH] = MODEL
    assert files.download(SETTINGS).model.read_bytes() == MODEL


def test_a_file_that_changed_since_is_not_spoken_with(hub: Hub) -> None:
    fetched = files.download(SETTINGS)
    fetched.model.resolve().write_bytes(b"altered")
    with pytest.raises(ConfigError, match="is not the published file"):
        fetched.digest()
    with pytest.raises(ModelUnavailable, match="it is removed"):
        files.download(SETTINGS)
    assert files.download(SETTINGS).model.read_bytes() == MODEL


def test_a_hub_that_lacks_it_or_cannot_be_reached_is_reported(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    del hub.contents[PATH]
    with pytest.raises(ModelUnavailable, match="cannot be downloaded from the hub"):
        files.download(SETTINGS)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match="cannot be downloaded from the hub"):
        files.download(SETTINGS)


def test_nothing_is_downloaded_for_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not one of the voices that can be downloaded"):
        spec.prefetch(Settings(piper_voice=str(tmp_path)))


def test_every_published_voice_is_pinned() -> None:
    assert re.fullmatch("[0-9a-f]{40}", REVISION)
    for name, voice in PUBLISHED.items():
        assert voice.path.endswith(f"/{name}.onnx")
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in voice.files.values())
        assert voice.license.startswith("CC")
