"""The engine behind Ray Serve's proxy: the client and the replicas are real, the proxy is the tests' own."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from monica import create_app
from monica.config import Settings
from monica.engine import SynthesisParams, Utterance, speak, wire
from monica.engine.espeak import EspeakEngine
from monica.engine.ray import engine as ray_engine
from monica.engine.ray.engine import RayEngine
from monica.engine.ray.utterance import RemoteUtterance
from monica.errors import ConfigError, DeviceLost, ModelUnavailable, MonicaError, Overloaded, SynthesisFailed
from monica.service import Service
from monica.synthesis.health import MAX_BREAKDOWNS
from monica.synthesis.loader import WARM_UP_TEXT
from monica.synthesis.take import Lane, Take, Waiter
from tests.conftest import local_client
from tests.support.engines import CloningToy, ToyEngine
from tests.support.recordings import record
from tests.support.replicas import Proxy, replicas
from tests.support.takes import new_take

TEXT = "Bonjour à tous."


class Fleet:
    """Two toys behind a proxy, and the engine that has them speak."""

    def __init__(self, proxy: Proxy, settings: Settings, toys: list[ToyEngine]) -> None:
        self.proxy, self.settings, self.toys = proxy, settings, toys
        self.engine = RayEngine(settings)
        self.engine.load()
        self.proxy.requests.clear()

    def speak(self, seed: int = 1) -> np.ndarray:
        return speak(self.engine, TEXT, voice=self.engine.fingerprint, params=SynthesisParams(), seed=seed)

    def begin(self, take: Take | None = None, *, stream: bool = False) -> RemoteUtterance:
        begun = self.engine.begin_order(
            take or new_take(TEXT, Waiter(time.monotonic() + 60)),
            TEXT,
            voice=self.engine.fingerprint,
            params=SynthesisParams(),
            seed=1,
            stream=stream,
        )
        assert isinstance(begun, RemoteUtterance)
        return begun

    def under_way(self) -> list[Take]:
        """Return the takes that the replicas are making."""
        return [take for speaker in self.proxy.speakers for take in speaker.scheduler.running.takes]

    def step_until(self, condition: Callable[[], object]) -> None:
        until = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < until
            self.engine.step()

    def error_of(self, utterance: Utterance) -> MonicaError:
        self.step_until(lambda: utterance.done)
        assert utterance.error is not None
        return utterance.error


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "PAUSES_S", (0.01, 0.02, 0.02))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    toys = [ToyEngine(), ToyEngine()]
    with replicas(tmp_path, *toys) as (proxy, settings):
        yield Fleet(proxy, settings, toys)
        for toy in toys:
            toy.gate.set()


class PiecewiseToy(ToyEngine):
    """Hands out a third of its tone in each step."""

    level = np.float32(1.0)

    def step(self) -> None:
        pieces = {each: each.chunks for each in self.utterances}
        super().step()
        for utterance, chunks in pieces.items():
            if utterance.samples is None or utterance.text == WARM_UP_TEXT:
                continue
            thirds = np.array_split(utterance.samples * self.level, 3)
            utterance.chunks = [*chunks, thirds[len(chunks)]]
            utterance.samples = np.concatenate(thirds) if len(utterance.chunks) == 3 else None


@pytest.fixture
def streams(tmp_path: Path) -> Iterator[Fleet]:
    toys: list[ToyEngine] = [PiecewiseToy(), PiecewiseToy()]
    with replicas(tmp_path, *toys) as (proxy, settings):
        yield Fleet(proxy, settings, toys)


def test_a_stream_goes_on_where_it_broke_off(streams: Fleet) -> None:
    whole = streams.begin(stream=True)
    streams.step_until(lambda: whole.done)
    assert whole.samples is not None
    assert len(whole.chunks) == 3
    streams.proxy.break_after = [2, 1]
    broken = streams.begin(stream=True)
    streams.step_until(lambda: broken.done)
    assert broken.samples is not None
    assert np.array_equal(broken.samples, whole.samples)
    assert np.array_equal(np.concatenate(broken.chunks), whole.samples)


def test_a_stream_breaks_off_if_the_other_replica_speaks_otherwise(streams: Fleet) -> None:
    for toy, level in zip(streams.toys, (1.0, 0.5), strict=True):
        toy.level = np.float32(level)  # type: ignore[attr-defined]
    streams.proxy.break_after = [2]
    broken = streams.begin(stream=True)
    assert "does not go on" in streams.error_of(broken).message
    assert len(broken.chunks) == 2


def test_it_speaks_as_its_replicas_do(fleet: Fleet) -> None:
    alone = ToyEngine()
    expected = speak(alone, TEXT, voice="", params=SynthesisParams(), seed=1)
    assert fleet.engine.name == alone.name
    assert fleet.engine.fingerprint == alone.fingerprint
    assert fleet.engine.sample_rate == alone.sample_rate
    assert np.array_equal(fleet.speak(seed=1), expected)
    assert not np.array_equal(fleet.speak(seed=2), expected)


def test_a_replica_is_told_what_the_scheduler_knows(fleet: Fleet) -> None:
    take = new_take(TEXT, Waiter(time.monotonic() + 60, Lane.BACKGROUND))
    utterance = fleet.begin(take)
    fleet.step_until(lambda: utterance.done)
    ((path, header),) = fleet.proxy.requests
    assert path == wire.TAKE
    assert (header["key"], header["live"], header["seed"]) == (take.key, False, 1)
    assert 50 < header["seconds"] < 62


def test_a_lost_replica_is_replaced_by_another_with_the_same_seed(fleet: Fleet) -> None:
    expected = fleet.speak()
    fleet.proxy.requests.clear()
    fleet.proxy.refuse_with, fleet.proxy.break_after = [500, 500], [0]
    assert np.array_equal(fleet.speak(), expected)
    assert {header["seed"] for _, header in fleet.proxy.requests} == {1}


def test_a_sentence_that_no_replica_makes_fails_and_the_engine_goes_on(fleet: Fleet) -> None:
    fleet.proxy.refuse_with = [500] * 4
    error = fleet.error_of(fleet.begin())
    assert isinstance(error, SynthesisFailed)
    assert "500" in error.message
    assert len(fleet.speak()) > 0


def test_replicas_that_are_gone_are_no_fault_of_the_sentence(tmp_path: Path) -> None:
    toy = ToyEngine()
    with replicas(tmp_path, toy) as (proxy, settings):
        fleet = Fleet(proxy, settings, [toy])
    while idle := fleet.engine._replicas._idle:  # the threads that answer on open connections outlive the proxy
        idle.pop().close()
    error = fleet.error_of(fleet.begin())
    assert (error.status, error.code, error.retry_after) == (503, "model_failed", 5)


def test_what_a_replica_fails_on_is_not_asked_again(fleet: Fleet) -> None:
    for toy in fleet.toys:
        toy.fail_with = SynthesisFailed("The toy is broken.")
    error = fleet.error_of(fleet.begin())
    assert (type(error), error.message) == (SynthesisFailed, "The toy is broken.")
    assert len(fleet.proxy.requests) == 1


def test_a_replica_makes_nothing_again_with_another_seed(fleet: Fleet) -> None:
    """That is the server's to decide, which records the seed."""
    for toy in fleet.toys:
        toy.silent = True
        toy.seeds.clear()
    assert "is silent" in fleet.error_of(fleet.begin()).message
    assert [seed for toy in fleet.toys for seed in toy.seeds] == [1]


def test_a_proxy_that_is_full_is_overloaded(fleet: Fleet) -> None:
    fleet.proxy.refuse_with = [503]
    error = fleet.error_of(fleet.begin())
    assert isinstance(error, Overloaded)
    assert error.retry_after is not None


def test_replicas_with_another_checkpoint_are_refused(fleet: Fleet) -> None:
    fleet.toys[0].fingerprint = "toy 2"
    for _ in range(4):  # asked for again of the one that has not changed
        assert len(fleet.speak()) > 0
    fleet.toys[1].fingerprint = "toy 2"
    utterance = fleet.begin()
    with pytest.raises(DeviceLost, match="toy 2"):
        fleet.step_until(lambda: utterance.done)


def test_a_take_that_is_dropped_is_dropped_by_its_replica(fleet: Fleet) -> None:
    for toy in fleet.toys:
        toy.gate.clear()
    utterance = fleet.begin()
    fleet.step_until(fleet.under_way)
    fleet.engine.drop(utterance)
    fleet.step_until(lambda: not fleet.under_way())
    assert len(fleet.proxy.requests) == 1


def test_a_background_take_that_becomes_live_is_asked_for_as_live(fleet: Fleet) -> None:
    for toy in fleet.toys:
        toy.gate.clear()
    take = new_take(TEXT, Waiter(time.monotonic() + 60, Lane.BACKGROUND))
    utterance = fleet.begin(take)
    fleet.step_until(lambda: fleet.proxy.requests)
    assert take.join(Waiter(time.monotonic() + 60))
    fleet.step_until(lambda: len(fleet.proxy.requests) > 1)
    for toy in fleet.toys:
        toy.gate.set()
    fleet.step_until(lambda: utterance.done)
    assert [header["live"] for _, header in fleet.proxy.requests] == [False, True]


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"ray_address": None}, ConfigError, "MONICA_RAY_ADDRESS"),
        ({"ray_token_file": None}, ConfigError, "MONICA_RAY_TOKEN_FILE is not set"),
        ({"ray_token_file": Path("/nowhere/token")}, ConfigError, "cannot be read"),
        ({"ray_address": "http://127.0.0.1:9"}, ModelUnavailable, "127.0.0.1:9"),
        ({"language": "de"}, ConfigError, "MONICA_LANGUAGE is de here, and fr on the replicas"),
    ],
)
def test_a_wrong_setting_is_refused_with_one_line(
    fleet: Fleet, change: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as raised:
        RayEngine(replace(fleet.settings, **change)).load()  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_a_wrong_token_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("another token".replace(" ", "-"))
    with pytest.raises(ConfigError, match="MONICA_RAY_TOKEN_FILE is not that of the replicas"):
        RayEngine(replace(fleet.settings, ray_token_file=wrong)).load()


def test_another_version_of_monica_is_refused(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "__version__", "9.9")
    with pytest.raises(ConfigError, match=r"Monica is 9\.9 here, and .* on the replicas"):
        RayEngine(fleet.settings).load()


def test_a_server_that_is_no_replica_is_refused(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire.Identity, "to_json", lambda self: b"<html>")
    with pytest.raises(ConfigError, match="no replica of Monica answers there"):
        RayEngine(fleet.settings).load()


def test_a_whole_monica_answers_with_what_its_replicas_make(tmp_path: Path) -> None:
    """The same bytes, under the same ETag, as a Monica that has the engine itself."""
    answers = []
    with replicas(tmp_path, EspeakEngine(Settings())) as (_, settings):
        for each in (settings, Settings(engine="espeak", cache_dir=tmp_path / "alone")):
            service = Service(each)
            service.start_and_wait()
            client = local_client(create_app(service=service))
            answers.append(client.post("/blabla", json={"text": TEXT}))
            health = client.get("/health").get_json()
            assert (health["engine"], health["status"]) == ("espeak", "ok")
            service.close()
    remote, local = answers
    assert (remote.status_code, remote.data) == (200, local.data)
    assert remote.headers["ETag"] == local.headers["ETag"]
    assert soundfile.read(io.BytesIO(remote.data))[1] == 22050


def test_a_proxy_that_is_full_is_answered_as_overload(tmp_path: Path) -> None:
    """It is told, and neither the engine nor the service counts as broken."""
    with replicas(tmp_path, ToyEngine()) as (proxy, settings):
        service = Service(settings)
        service.start_and_wait()
        client = local_client(create_app(service=service))
        for _ in range(MAX_BREAKDOWNS):
            proxy.refuse_with = [503]
            answer = client.post("/blabla", json={"text": TEXT})
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "overloaded")
            assert answer.headers["Retry-After"] == "2"
        assert client.post("/blabla", json={"text": TEXT}).status_code == 200
        assert client.get("/health").get_json()["status"] == "ok"
        service.close()


def test_a_voice_is_sent_once_to_a_replica_that_does_not_know_it(tmp_path: Path) -> None:
    voices = tmp_path / "voices"
    voices.mkdir()
    record(voices, "marie.wav")
    toys = [CloningToy(), CloningToy()]
    with replicas(tmp_path, *toys) as (proxy, settings):
        service = Service(replace(settings, reference_audio=None, voices_dir=voices))
        service.start_and_wait()
        proxy.requests.clear()
        for toy in toys:
            toy.heard.clear()
        proxy.order = iter([0, 1, 1, 1, 0])
        client = local_client(create_app(service=service))
        for text in ("Bonjour.", "Bonsoir.", "Bonne nuit."):
            assert client.post("/blabla", json={"text": text, "voice": "marie"}).status_code == 200
        service.close()
    assert [path for path, _ in proxy.requests] == [wire.VOICE] + [wire.TAKE] * 4
    assert proxy.voices_sent == 1
    (digest,) = {header["voice"] for _, header in proxy.requests}
    assert len({toy.loaded_voices[digest] for toy in toys}) == 1
    assert [len(toy.heard) for toy in toys] == [1, 2]
