"""A real Monica whose takes are made by replicas on a real Ray Serve. Ray runs in processes of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from monica.config import Settings
from monica.service import Service
from monica.speech import SpeechRequest
from tests.support.ray_cluster import RayCluster, require_ray
from tests.support.server import Server, run_to_failure
from tests.support.wire import metric, until

REPLICAS = 2

pytestmark = pytest.mark.timeout(600)  # on a loaded machine Ray alone needs minutes to start


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    require_ray()
    with RayCluster(tmp_path_factory.mktemp("ray"), REPLICAS) as cluster:
        yield cluster


@pytest.fixture
def front(ray: RayCluster, tmp_path: Path) -> Iterator[Server]:
    patient = {"MONICA_DEADLINE_S": "300", "MONICA_CACHE_DIR": str(tmp_path / "cache")}  # a new replica may take long
    with Server(tmp_path, ray.settings | patient) as server:
        yield server.wait_ready(120)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], bytes]]:
    """Return the WAV that the same engine makes of a text in this process."""
    service = Service(Settings(engine="espeak", cache_dir=tmp_path_factory.mktemp("local")))
    service.start_and_wait()
    yield lambda text: service.announcer.announce(SpeechRequest(text)).wav
    service.close()


@contextmanager
def fault(ray: RayCluster, name: str) -> Iterator[None]:
    (ray.faults / name).touch()
    try:
        yield
    finally:
        (ray.faults / name).unlink()


def test_a_take_sounds_as_the_engine_makes_it_here(front: Server, expected: Callable[[str], bytes]) -> None:
    answer = front.say("Bonjour à tous.")
    assert (answer.status_code, answer.headers["X-Monica-Cache"]) == (200, "miss")
    assert answer.headers["X-Monica-Engine"] == "espeak"
    assert answer.content == expected("Bonjour à tous.")


def test_a_killed_replica_costs_no_sentence(ray: RayCluster, front: Server, expected: Callable[[str], bytes]) -> None:
    texts = [f"Table {number}, à vos places." for number in range(12)]
    with ThreadPoolExecutor(len(texts)) as clients, fault(ray, "slow"):
        answers = [clients.submit(front.say, text, timeout=400) for text in texts]
        until(lambda: metric(front, "monica_takes_under_way") == len(texts))
        ray.replicas()[0].kill()
    for text, answer in zip(texts, answers, strict=True):
        assert answer.result().status_code == 200, answer.result().text
        assert answer.result().content == expected(text)
    assert requests.get(f"{front.url}/health", timeout=10).json()["status"] == "ok"
    until(lambda: len(ray.replicas()) == REPLICAS, seconds=120)


def test_a_stream_outlives_its_replica(ray: RayCluster, front: Server) -> None:
    """Every replica is killed after a part has been heard. The rest is the same as if none had been."""
    with fault(ray, "piecewise"):
        whole = stream(front).content
        chunks = stream(front).iter_content(None)
        heard = next(chunks)
        with fault(ray, "held"):
            for replica in ray.replicas():
                replica.kill()
        broken = heard + b"".join(chunks)
    assert len(heard) < len(whole)
    assert broken == whole
    until(lambda: len(ray.replicas()) == REPLICAS, seconds=120)


def stream(server: Server) -> requests.Response:
    text = "La table finale va commencer, à vos places, mesdames et messieurs, le tournoi reprend."
    fresh = {"Cache-Control": "no-cache"}
    answer = requests.post(
        f"{server.url}/blabla?stream=1", json={"text": text}, headers=fresh, stream=True, timeout=180
    )
    assert answer.status_code == 200
    return answer


def test_drain_lets_a_remote_take_end(ray: RayCluster, front: Server, expected: Callable[[str], bytes]) -> None:
    with ThreadPoolExecutor(1) as client, fault(ray, "slow"):
        answer = client.submit(front.say, "La dernière annonce.", timeout=400)
        until(lambda: metric(front, "monica_takes_under_way") == 1)
        front.terminate()
        until(lambda: "shutting_down" in front.say("Encore une.").text)
        assert answer.result().status_code == 200
        assert answer.result().content == expected("La dernière annonce.")
    assert front.wait_exit() == 0


def test_a_hung_step_ends_its_replica_and_another_one_speaks(
    ray: RayCluster, front: Server, expected: Callable[[str], bytes]
) -> None:
    before = {each.pid for each in ray.replicas()}
    with ThreadPoolExecutor(1) as client:
        with fault(ray, "stuck"):
            answer = client.submit(front.say, "Une phrase.", timeout=400)
            until(lambda: not before <= {each.pid for each in ray.replicas()}, seconds=60)
        assert answer.result().status_code == 200
        assert answer.result().content == expected("Une phrase.")
    until(lambda: len(ray.replicas()) == REPLICAS, seconds=120)


def test_a_wrong_token_stops_the_start_with_one_line(ray: RayCluster, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("another-one")
    settings = ray.settings | {"MONICA_RAY_TOKEN_FILE": str(token), "MONICA_CACHE_DIR": str(tmp_path / "cache")}
    log = run_to_failure(tmp_path, settings)
    assert "The token in MONICA_RAY_TOKEN_FILE is not that of the replicas." in log
    assert "Traceback" not in log
