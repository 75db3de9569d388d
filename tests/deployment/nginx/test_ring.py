"""The simulation of a cluster has the homes of a real one."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.ring import Ring
from tests.deployment.nginx.conftest import Front
from tests.deployment.nginx.node import Node
from tests.support.server import free_port

BODIES = [b'{"text": "Main %d"}' % number for number in range(60)]


def test_ring_says_where_nginx_sends_each_phrase(front: Front) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(Node()) for _ in range(2)]
        ports = [nodes[0].port, free_port(), nodes[1].port]  # the second one is away
        site = front(*ports, changes={"rate=10r/s": "rate=100000r/s"})
        ring = Ring([f"127.0.0.1:{port}" for port in ports])
        for body in BODIES:
            assert site.ask("POST", "/blabla", data=body).status_code == 200
        tried = [[ports.index(int(node.rpartition(":")[2])) for node in line["node"].split(", ")]
                 for line in site.log(len(BODIES))]  # fmt: skip
        assert [nodes[0] for nodes in tried] == [ring.home(body) for body in BODIES]
        assert [nodes[-1] for nodes in tried] == [ring.home(body, away={1}) for body in BODIES]
        assert {len(nodes) for nodes in tried} == {1, 2}, "no phrase has its home at the node that is away"
