"""Two nodes: one may be away, full, loading or dying, and no client notices."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deployment.nginx.cluster import wait_ready
from tests.deployment.nginx.conftest import Front
from tests.deployment.nginx.load import Load
from tests.deployment.nginx.node import Call, Node
from tests.support.server import Server, free_port


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda call: call.refuse(503, "overloaded"), id="full"),
        pytest.param(lambda call: call.refuse(503, "model_loading"), id="loading"),
        pytest.param(lambda call: call.hang_up(), id="dying"),
        pytest.param(None, id="away"),
    ],
)
def test_other_node_takes_over(front: Front, fault: Callable[[Call], None] | None) -> None:
    with Node() as well, ExitStack() as stack:
        ill = stack.enter_context(Node(fault)) if fault else None
        site = front(ill.port if ill else free_port(), well.port)
        bodies = [f'{{"text": "Main numéro {n}"}}' for n in range(20)]
        answers = [site.ask("POST", "/blabla", data=body.encode()) for body in bodies]
        assert [answer.status_code for answer in answers] == [200] * 20
        assert [answer.text for answer in answers] == bodies
        tried = [line["node"] for line in site.log(20)]
        # The ill node keeps being tried, so that it is used again as soon as it is well.
        assert sum("," in nodes for nodes in tried) > 5


def test_two_full_nodes_say_so(front: Front) -> None:
    with Node(lambda call: call.refuse(503, "overloaded")) as one, Node(one.answer) as other:
        answer = front(one.port, other.port).ask("POST", "/blabla", data=b"{}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
        assert answer.headers["Retry-After"] == "7"
        assert (len(one.calls), len(other.calls)) == (1, 1)


@pytest.mark.parametrize(
    ("status", "code"), [(504, "deadline_exceeded"), (500, "synthesis_failed"), (400, "text_empty")]
)
def test_errors_that_would_recur_are_not_retried(front: Front, status: int, code: str) -> None:
    with Node(lambda call: call.refuse(status, code)) as one, Node(one.answer) as other:
        site = front(one.port, other.port)
        answers = [site.ask("POST", "/blabla", data=b"{}").status_code for _ in range(6)]
        assert answers == [status] * 6
        assert len(one.calls) + len(other.calls) == 6


def test_request_that_has_waited_long_is_not_retried(front: Front) -> None:
    changes = {"proxy_read_timeout 40s;": "proxy_read_timeout 1s;", "upstream_timeout 10s;": "upstream_timeout 500ms;"}
    with Node(Call.wait_hang_up) as one, Node(Call.wait_hang_up) as other:
        answer = front(one.port, other.port, changes=changes).ask("POST", "/blabla", data=b"{}")
        assert answer.status_code == 504
        assert len(one.calls) + len(other.calls) == 1


def test_jobs_go_to_one_node(front: Front) -> None:
    with Node() as one, Node() as other:
        site = front(one.port, other.port)
        for _ in range(3):
            for method, path in (
                ("POST", "/v1/phrases/warm"), ("GET", "/v1/jobs"), ("DELETE", "/v1/jobs/ab12"),
                ("POST", "/v1/clock/start"), ("GET", "/v1/books/ab12"),
            ):  # fmt: skip
                assert site.ask(method, path, data=b"{}").status_code == 200
        assert (len(one.calls), len(other.calls)) == (15, 0)


def test_less_busy_node_is_preferred(front: Front) -> None:
    busy, done = threading.Event(), threading.Event()

    def hold(call: Call) -> None:
        busy.set()
        assert done.wait(60)
        call.reply(200)

    with Node(hold) as one, Node(hold) as other, ThreadPoolExecutor(1) as pool:
        site = front(one.port, other.port)
        held = pool.submit(site.ask, "POST", "/blabla", data=b"{}")
        assert busy.wait(60)
        (taken,) = [node for node in (one, other) if node.calls]
        for node in (one, other):
            node.answer = lambda call: call.reply(200)
        for _ in range(6):
            site.ask("POST", "/blabla", data=b"{}")
        done.set()
        assert held.result().status_code == 200
        assert len(taken.calls) == 1


def test_rolling_restart_under_load_loses_no_request(front: Front, tmp_path: Path) -> None:
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "cache")}
    ports = [free_port(), free_port()]
    with ExitStack() as stack:

        def start(port: int) -> Server:
            return stack.enter_context(Server(tmp_path, settings, port))

        nodes = [start(port) for port in ports]
        for node in nodes:
            wait_ready(node)
        # One node plays what the other has made, because they share a cache.
        assert [node.say("Bonsoir.").headers["X-Monica-Cache"] for node in nodes] == ["miss", "hit"]
        site = front(*ports, changes={"rate=10r/s": "rate=100000r/s"})
        with Load(f"{site.url}/blabla", site.session) as load:
            for port, node in zip(ports, nodes, strict=True):
                load.wait_for_more(100)
                node.terminate()
                assert node.wait_exit() == 0
                load.wait_for_more(100)
                wait_ready(start(port))
            load.wait_for_more(100)
        lines = site.log(load.asked)
    assert load.failures == []
    assert Counter(line["status"] for line in lines) == {"200": load.asked}
    served = Counter(line["node"].split(", ")[-1] for line in lines)
    assert all(served[f"127.0.0.1:{port}"] > 50 for port in ports)
    assert any("," in line["node"] for line in lines), "no request met a missing node, so nothing was tested"
