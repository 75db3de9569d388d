"""One thread alone loads and uses the engine, so that what CUDA sets up for a thread is warm where takes are made."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monica.config import Settings
from monica.service import Service
from monica.speech import SpeechRequest
from monica.synthesis.take import Lane
from tests.support.engines import CloningToy
from tests.support.recordings import record, recording
from tests.support.wire import until

METHODS = ("load", "make_conditionals", "add_voice", "begin", "step", "pause", "resume", "drop")


class WatchedToy(CloningToy):
    """Notes by which thread each of its methods is called."""

    slots = 1

    def __init__(self) -> None:
        super().__init__()
        self.callers: defaultdict[str, set[int]] = defaultdict(set)
        for name in METHODS:
            setattr(self, name, self._watched(name, getattr(self, name)))

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.callers[name].add(threading.get_ident())
            return method(*args, **kwargs)

        return call


@pytest.fixture
def toy() -> WatchedToy:
    return WatchedToy()


@pytest.fixture
def service(settings: Settings, toy: WatchedToy, tmp_path: Path) -> Service:
    record(tmp_path / "voices", "anna.wav")
    (tmp_path / "reference.wav").write_bytes(recording())
    settings = replace(
        settings,
        reference_audio=tmp_path / "reference.wav",
        voices_dir=tmp_path / "voices",
        voice_uploads=True,
        api_key="secret",
    )
    return Service(settings, toy)


def test_one_thread_loads_and_uses_the_engine(service: Service, toy: WatchedToy, tmp_path: Path) -> None:
    toy.fail_load_with = []
    service.start(on_config_error=lambda error: pytest.fail(str(error)), on_lost=pytest.fail)
    until(lambda: service.health.report()["status"] == "ok")
    assert {"load", "make_conditionals", "add_voice", "begin", "step", "drop"} <= toy.callers.keys()
    toy.gate.clear()
    with ThreadPoolExecutor() as pool:
        background = SpeechRequest("Une phrase de fond.", voice="anna", lane=Lane.BACKGROUND)
        takes = [pool.submit(service.announcer.announce, background)]
        assert toy.began.acquire(timeout=10)
        takes.append(pool.submit(service.announcer.announce, SpeechRequest("Une annonce.")))
        assert toy.began.acquire(timeout=10)
        with (tmp_path / "voices" / "anna.wav").open("rb") as upload:
            service.uploads.add("berta", upload)
        toy.gate.set()
        list(service.announcer.stream(SpeechRequest("Une autre.", voice="berta")).chunks)
        assert all(take.result(10).wav for take in takes)
    service.drain(5)
    service.close()
    assert toy.callers.keys() == set(METHODS)
    threads = set().union(*toy.callers.values())
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_so_it_is_on_the_command_line(service: Service, toy: WatchedToy) -> None:
    service.start_and_wait()
    service.announcer.announce(SpeechRequest("Une annonce."))
    service.close()
    threads = set().union(*toy.callers.values())
    assert len(threads) == 1
    assert threading.get_ident() not in threads
