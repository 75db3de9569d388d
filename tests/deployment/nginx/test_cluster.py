"""A cluster: each phrase has a home, nodes come and go under load, and no client notices."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deployment.nginx.cluster import UNLIMITED, Cluster
from tests.deployment.nginx.conftest import Front
from tests.deployment.nginx.load import Load
from tests.deployment.nginx.node import Call, Node
from tests.deployment.nginx.site import Site
from tests.support.wire import metric

# A node that starts shares two cores with two others, nginx and ten clients: it may be slow to say that it is loading.
PATIENT = {"proxy_next_upstream_timeout 10s": "proxy_next_upstream_timeout 60s", "read_timeout 40s": "read_timeout 90s"}
PHRASES = [f"Le joueur numéro {n} est éliminé." for n in range(20)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path_factory.mktemp("cluster"), stack)


def last_nodes(site: Site, asked: int) -> list[str]:
    """Return the node that answered each request."""
    return [line["node"].split(", ")[-1] for line in site.log(asked)]


def test_each_phrase_is_made_once_wherever_it_is_asked_for(front: Front, cluster: Cluster) -> None:
    site = front(*cluster.ports, changes=UNLIMITED)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(site.say, PHRASES * 3))
    assert {answer.status_code for answer in answers} == {200}
    made = [metric(node, "monica_takes_total", outcome="ok") for node in cluster.nodes.values()]
    assert sum(made) == len(PHRASES)
    assert sum(map(bool, made)) > 1, "the phrases are not spread"
    again = [site.say(phrase) for phrase in PHRASES]
    assert [answer.headers["X-Monica-Cache"] for answer in again] == ["hit"] * len(PHRASES)
    assert [answer.content for answer in again] == [answer.content for answer in answers[: len(PHRASES)]]


def test_nodes_are_killed_drained_and_added_under_load(front: Front, cluster: Cluster, tmp_path: Path) -> None:
    first, second, third = cluster.ports
    third_is = "max_fails=0;\n    keepalive 32;"
    third_is_not = "max_fails=0 down;\n    keepalive 32;"
    site = front(*cluster.ports, changes=UNLIMITED | PATIENT | {third_is: third_is_not})
    with Load(f"{site.url}/blabla", site.session) as load:
        load.wait_for_more(40)
        assert f"127.0.0.1:{third}" not in last_nodes(site, 40)
        config = tmp_path / "site" / "monica" / "cluster.conf"
        config.write_text(config.read_text().replace(third_is_not, third_is))
        site.process.send_signal(signal.SIGHUP)
        load.wait_for_more(40)
        cluster.kill(second)
        load.wait_for_more(40)
        cluster.restart(second)
        load.wait_for_more(40)
        cluster.drain(first)
        load.wait_for_more(40)
    assert load.failures == []
    served = Counter(last_nodes(site, load.asked))
    assert all(served[f"127.0.0.1:{port}"] > 10 for port in cluster.ports)
    assert any("," in line["node"] for line in site.log(load.asked)), "no request met a missing node"


def test_other_node_makes_the_same_bytes_under_the_same_etag(front: Front, cluster: Cluster) -> None:
    site = front(*cluster.ports, changes=UNLIMITED)
    before = site.say("Antoine gagne le tournoi.")
    home = int(last_nodes(site, 1)[0].split(":")[1])
    cluster.drain(home)
    after = site.say("Antoine gagne le tournoi.")
    assert (before.headers["X-Monica-Cache"], after.headers["X-Monica-Cache"]) == ("miss", "miss")
    assert (after.headers["ETag"], after.content) == (before.headers["ETag"], before.content)


@pytest.fixture
def three() -> Iterator[list[Node]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Node(lambda call: call.reply(200, b"{}"))) for _ in range(3)]


def test_full_node_hands_its_phrases_on(front: Front, three: list[Node]) -> None:
    site = front(*(node.port for node in three), changes=UNLIMITED)
    three[1].answer = lambda call: call.refuse(503, "overloaded")
    assert {site.say(f"Main numéro {n}.").status_code for n in range(40)} == {200}
    assert three[1].calls


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/phrases"),
        ("DELETE", "/v1/phrases/ab12"),
        ("PUT", "/v1/phrases/ab12/pin"),
        ("POST", "/v1/phrases/ab12/remake"),
        ("GET", "/v1/phrases/bundle"),
        ("POST", "/v1/phrases/bundle"),
        ("POST", "/v1/phrases/warm"),
        ("DELETE", "/v1/jobs/ab12"),
        ("POST", "/v1/announcements"),
        ("POST", "/v1/antenna/stop"),
    ],
)
def test_one_node_has_what_is_not_a_sentence(three_nodes: tuple[Site, list[Node]], method: str, path: str) -> None:
    site, nodes = three_nodes
    before = [len(node.calls) for node in nodes]
    for n in range(6):
        assert site.ask(method, f"{path}?n={n}", data=f"{n}".encode() * 9).status_code == 200
    assert [len(node.calls) - count for node, count in zip(nodes, before, strict=True)] == [6, 0, 0]


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/lexicon"), ("POST", "/v1/audio/voices"), ("DELETE", "/v1/audio/voices/marie")]
)
def test_what_every_node_must_know_is_refused(three_nodes: tuple[Site, list[Node]], method: str, path: str) -> None:
    site, nodes = three_nodes
    before = [len(node.calls) for node in nodes]
    answer = site.ask(method, path, data=b"a" * 100_000 if method == "POST" else b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "every_node")
    assert [len(node.calls) for node in nodes] == before
    assert site.ask("GET", path.removesuffix("/marie")).status_code == 200


@pytest.fixture(scope="module")
def three_nodes(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[tuple[Site, list[Node]]]:
    with ExitStack() as stack:
        nodes = [stack.enter_context(Node(lambda call: call.reply(200, b"{}"))) for _ in range(3)]
        folder = tmp_path_factory.mktemp("three")
        yield stack.enter_context(Site(folder, certificate, [node.port for node in nodes], UNLIMITED)), nodes


def test_phrase_said_by_get_has_a_home_too(front: Front, three: list[Node]) -> None:
    homes: set[tuple[str, int]] = set()

    def answer(call: Call) -> None:
        homes.add((call.path, call.server.server_port))
        call.reply(200)

    for node in three:
        node.answer = answer
    site = front(*(node.port for node in three), changes=UNLIMITED)
    paths = [f"/blabla?text=Main+{n}" for n in range(40)]
    for path in paths * 2:
        site.ask("GET", path)
    assert sorted(path for path, _ in homes) == sorted(paths), "one phrase, two homes"
    assert len({port for _, port in homes}) == 3
