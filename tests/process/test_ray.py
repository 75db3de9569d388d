"""A real Ray, in processes of its own: replicas that speak for a real Monica, and studios that make a book."""

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
from monica.store.bundle import Bundle
from monica.synthesis.take import Source
from monica.warming.book import PhraseBook
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
    with running_service(tmp_path_factory.mktemp("local")) as service:
        yield lambda text: service.announcer.announce(SpeechRequest(text)).wav


@contextmanager
def running_service(folder: Path) -> Iterator[Service]:
    service = Service(Settings(engine="espeak", cache_dir=folder))
    service.start_and_wait()
    yield service
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


BOOK = """
[rosters]
players = { file = "players.csv" }
tables = { file = "tables.jsonl" }

[[phrases]]
text = "{player.name} passe à la table {table}, {player.name}."
player = "players"
table = "tables"

[[phrases]]
seed = 7
priority = 1
text = ["La partie de {player.name} est finie.", "La partie de {player.name}  est finie."]
player = "players"
"""
PLAYERS, TABLES = 20, 40


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "players.csv").write_text("name\n" + "".join(f"Joueur {n}\n" for n in range(PLAYERS)))
    (tmp_path / "tables.jsonl").write_text("".join(f"{n}\n" for n in range(TABLES)))
    book = tmp_path / "book.toml"
    book.write_text(BOOK)
    return book


def test_a_book_is_made_once_though_a_studio_and_the_driver_are_killed(
    ray: RayCluster, book: Path, tmp_path: Path, expected: Callable[[str], bytes]
) -> None:
    """Its bundles make every phrase a hit, with the bytes that a server makes."""
    out, log = tmp_path / "bundles", tmp_path / "render.log"
    options = ("--studios=2", "--bundle-mb=1", "--no-listen")

    def whole() -> int:
        return len(list(out.glob("*.zip")))

    killed = ray.render(book, out, *options, log=log)
    until(lambda: whole() > 1, seconds=240)
    ray.studios()[0].kill()
    seen = whole()
    until(lambda: whole() > seen + 2, seconds=240)
    killed.kill()
    killed.wait()
    before = whole()

    again = ray.render(book, out, *options, log=log)
    assert again.wait(300) == 0, log.read_text()
    assert "a studio is lost, and another one started" in log.read_text()
    assert 1 < before < whole(), "the driver was not killed in the middle"

    phrases = list(PhraseBook.read_file(book, of_any_size=True).phrases())
    assert len(phrases) == PLAYERS * TABLES + PLAYERS
    with running_service(tmp_path / "server") as service:
        keys = []
        for path in sorted(out.glob("*.zip")):
            with path.open("rb") as file:
                bundle = Bundle(file, service.catalogue.limit)
                bundle.check_origin(service.identity())
                assert bundle.import_into(service.catalogue).new == len(bundle.phrases)
                keys += [phrase.key for phrase in bundle.phrases]
        requests = [SpeechRequest(phrase.text, phrase.voice, phrase.seed, phrase.params) for phrase in phrases]
        assert sorted(keys) == sorted(service.announcer.key_of(request) for request in requests)
        for request in requests[::20]:
            said = service.announcer.announce(request)
            assert (said.source, said.wav) == (Source.HIT, expected(request.text))


def test_a_render_without_its_token_is_refused_with_one_line(ray: RayCluster, book: Path, tmp_path: Path) -> None:
    log = tmp_path / "render.log"
    render = ray.render(book, tmp_path / "bundles", log=log, RAY_AUTH_TOKEN="0" * 64)
    assert render.wait(120) == 1
    assert "monica: There is no Ray to use at" in log.read_text()
    assert "Traceback" not in log.read_text()
