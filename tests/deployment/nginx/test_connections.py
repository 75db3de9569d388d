"""Connections behind nginx: none is closed under the next request, and one address has a bounded number."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.deployment.nginx.conftest import Front
from tests.deployment.nginx.node import Call, Node
from tests.support.server import Server
from tests.support.wire import until

LIMIT = 64


def test_next_request_is_served_after_one_whose_body_was_not_read(front: Front, server: Server) -> None:
    site = front(server.port, changes={"rate=10r/s": "rate=1000r/s"})
    with site.session() as session:
        for _ in range(60):
            refused = session.post(f"{site.url}/v1/phrases/bundle", data=bytes(200_000), timeout=20)
            assert refused.json()["error"]["code"] == "forbidden"
            said = session.post(f"{site.url}/blabla", json={"text": "Bonsoir."}, timeout=20)
            assert said.status_code == 200


def test_one_address_has_a_bounded_number_of_requests_at_once(front: Front) -> None:
    gate = threading.Event()

    def hold(call: Call) -> None:
        assert gate.wait(60)
        call.reply(200)

    with Node(hold) as node, ThreadPoolExecutor(LIMIT) as pool:
        site = front(node.port)
        held = [pool.submit(site.ask, "GET", "/health") for _ in range(LIMIT)]
        try:
            until(lambda: len(node.calls) == LIMIT)
            refused = site.ask("GET", "/health")
        finally:
            gate.set()
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_requests")
        assert {answer.result().status_code for answer in held} == {200}
