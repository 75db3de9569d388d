"""If its site is set so, nginx itself answers kept phrases that are asked for again: those alone, as Monica would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.deployment.nginx.site import Site
from tests.support.server import ROOT, Server
from tests.support.wire import metric

ON = {"default off;": "default monica_repeats;", "rate=10r/s": "rate=1000r/s"}
KEY = "sesame-ouvre-toi"


@pytest.fixture(scope="module")
def repeating(tmp_path_factory: pytest.TempPathFactory, certificate: Path, server: Server) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("repeating"), certificate, [server.port], ON) as site:
        yield site


@pytest.fixture
def answered(server: Server) -> Callable[[], float]:
    """Return how many sentences Monica has answered since the last call."""
    last = 0.0

    def since() -> float:
        nonlocal last
        now = metric(server, "monica_request_duration_seconds_count", endpoint="/blabla", status="200")
        last, before = now, last
        return now - before

    since()
    return since


def test_phrase_asked_for_again_does_not_reach_monica(repeating: Site, answered: Callable[[], float]) -> None:
    heard = [repeating.say("Antoine passe la parole.") for _ in range(5)]
    assert [answer.headers["X-Monica-Cache"] for answer in heard] == ["miss", "hit", "hit", "hit", "hit"]
    assert answered() == 2
    assert len({answer.content for answer in heard}) == 1
    assert len({answer.headers["X-Request-Id"] for answer in heard}) == 5
    by_monica, by_nginx = heard[1:3]
    passing = {"Date", "X-Request-Id", "X-Generation-Time"}
    assert set(by_nginx.headers) == set(by_monica.headers)
    assert {name for name in by_nginx.headers if by_nginx.headers[name] != by_monica.headers[name]} <= passing
    assert "X-Accel-Expires" not in by_monica.headers
    mine = repeating.say("Antoine passe la parole.", **{"X-Request-Id": "mine-1"})
    assert mine.headers["X-Request-Id"] == "mine-1"
    revalidated = repeating.say("Antoine passe la parole.", **{"If-None-Match": by_nginx.headers["ETag"]})
    assert (revalidated.status_code, revalidated.content, answered()) == (304, b"", 0)


def test_whatever_may_change_the_answer_asks_monica(repeating: Site, answered: Callable[[], float]) -> None:
    text = "Bertrand relance encore."
    for _ in range(3):
        plain = repeating.say(text)
    answered()
    others: list[dict[str, str]] = [
        {"Accept": "audio/flac"}, {"Authorization": "Bearer x"}, {"X-API-Key": "x"}, {"Origin": "https://elsewhere.fr"},
        {"Cache-Control": "max-age=0"}, {"X-Deadline-Ms": "9000"},
    ]  # fmt: skip
    for headers in others:
        assert repeating.say(text, **headers).status_code == 200
    assert answered() == len(others)
    other = repeating.ask("POST", "/blabla", json={"text": text, "seed": 1})
    assert (other.status_code, answered()) == (200, 1)
    assert repeating.say("Bertrand se couche.").content != plain.content


def test_new_take_is_made_each_time_it_is_asked_for(repeating: Site, answered: Callable[[], float]) -> None:
    text = "Camille réfléchit longtemps."
    for _ in range(3):
        repeating.say(text)
    answered()
    fresh = [repeating.say(text, **{"Cache-Control": "no-cache"}).headers["X-Monica-Cache"] for _ in range(3)]
    assert (fresh, answered()) == (["miss"] * 3, 3)


def test_stream_that_is_being_made_and_errors_come_from_monica(
    repeating: Site, server: Server, answered: Callable[[], float]
) -> None:
    streams = [repeating.ask("POST", "/blabla?stream=1", json={"text": "Denis part à tapis."}) for _ in range(4)]
    assert [stream.status_code for stream in streams] == [200] * 4
    assert answered() == 2  # once it is kept, it is sent whole
    assert len({stream.content for stream in streams[1:]}) == 1
    before = metric(server, "monica_request_duration_seconds_count", endpoint="/blabla", status="400")
    for _ in range(3):
        assert repeating.say(" ").status_code == 400
    after = metric(server, "monica_request_duration_seconds_count", endpoint="/blabla", status="400")
    assert after - before == 3


def test_monica_permits_it_only_if_asked_and_only_for_kept_phrases(server: Server) -> None:
    asked = {"X-Monica-Proxy-Keeps": "1"}
    text = "Élodie ramasse le pot."
    first, again = (server.say(text, headers=asked) for _ in range(2))
    assert ("X-Accel-Expires" in first.headers, again.headers["X-Accel-Expires"]) == (False, "5")
    assert server.say(text, headers=asked).headers["X-Accel-Expires"] == "5"
    assert "X-Accel-Expires" not in server.say(text).headers
    new = {"text": f"{text} Encore."}
    streamed = requests.post(f"{server.url}/blabla?stream=1", json=new, headers=asked, timeout=20)
    assert "X-Accel-Expires" not in streamed.headers


def test_site_as_it_ships_asks_monica_every_time(site: Site, answered: Callable[[], float]) -> None:
    for _ in range(4):
        assert site.say("Fanny attend la rivière.").status_code == 200
    assert answered() == 4


def test_no_sentence_is_written_to_the_disk() -> None:
    """The file of a kept answer begins with its key, and so with the sentence."""
    assert "proxy_cache_path /dev/shm/" in (ROOT / "nginx/site.conf").read_text()


def test_answer_for_those_with_the_key_is_not_for_others(tmp_path: Path, certificate: Path) -> None:
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache"), "MONICA_API_KEY": KEY}
    (tmp_path / "site").mkdir()
    with (
        Server(tmp_path, settings) as keyed,
        Site(tmp_path / "site", certificate, [keyed.wait_ready().port], ON) as site,
    ):
        right = {"Authorization": f"Bearer {KEY}"}
        for _ in range(3):
            assert site.ask("POST", "/blabla", json={"text": "Pour elle."}, headers=right).status_code == 200
        assert site.say("Pour elle.").status_code == 401
        assert site.say("Pour elle.", Authorization="Bearer wrong").status_code == 401
