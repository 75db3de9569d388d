"""Monica's own streams through nginx: they arrive while they are made, complete, and broken if they break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monica.audio.wav import HEADER_BYTES
from tests.deployment.nginx.conftest import Front
from tests.support.faulty import Faults
from tests.support.server import Server
from tests.support.wire import metric, until

LONG = " ".join(f"Le joueur numéro {n} quitte la table, et la finale continue sans lui." for n in range(7))


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(tmp_path / "faults")


@pytest.fixture
def slow(tmp_path: Path, faults: Faults) -> Iterator[Server]:
    """A Monica whose streams come in many chunks."""
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}
    with Server(tmp_path, settings | faults.settings) as server:
        server.wait_ready()
        with faults.on("piecewise"):
            yield server


def test_stream_arrives_while_it_is_made(front: Front, slow: Server, faults: Faults) -> None:
    site, body = front(slow.port), {"text": LONG}
    with (
        site.session() as session,
        session.post(f"{site.url}/blabla?stream=1", json=body, stream=True, timeout=60) as answer,
    ):
        chunks = answer.iter_content(chunk_size=None)
        heard = next(chunks)
        with faults.on("held"):  # from here on, nothing more is made
            until(lambda: metric(slow, "monica_takes_under_way") > 0)
        heard += b"".join(chunks)
    assert answer.headers["X-Monica-Cache"] == "miss"
    assert "X-Accel-Buffering" not in answer.headers
    whole = site.ask("POST", "/blabla", json=body)
    assert whole.headers["X-Monica-Cache"] == "hit"
    assert heard[HEADER_BYTES:] == whole.content[HEADER_BYTES:]


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_failed_stream_does_not_look_complete(front: Front, slow: Server, faults: Faults, version: str) -> None:
    site = front(slow.port)
    with faults.on("torn"):
        said = site.curl("/blabla?stream=1", version, "--json", f'{{"text": "{LONG}"}}')
    assert said.stdout[:4] == b"RIFF"
    assert said.returncode != 0


def test_hanging_up_in_the_middle_abandons_the_take(front: Front, slow: Server, faults: Faults) -> None:
    site = front(slow.port)
    with (
        faults.on("slow"),
        site.session() as session,
        session.post(f"{site.url}/blabla?stream=1", json={"text": LONG}, stream=True, timeout=60) as answer,
    ):
        assert next(answer.iter_content(chunk_size=None))
        answer.close()
        until(lambda: metric(slow, "monica_takes_total", outcome="abandoned") > 0)
