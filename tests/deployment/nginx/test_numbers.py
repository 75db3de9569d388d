"""Numbers in nginx's configuration that depend on Monica's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monica.config import Settings
from tests.support.server import ROOT


def number(path: Path, pattern: str) -> float:
    (found,) = set(re.findall(pattern, path.read_text(), re.MULTILINE))
    return float(found)


def test_monica_reports_a_deadline_before_nginx_does() -> None:
    patience = number(ROOT / "nginx/proxy.conf", r"^proxy_read_timeout (\d+)s;")
    again = number(ROOT / "nginx/proxy.conf", r"^proxy_next_upstream_timeout (\d+)s;")
    assert patience > Settings().deadline_s
    assert again + Settings().deadline_s <= patience


@pytest.mark.parametrize("nodes", ["one-node.conf", "two-nodes.conf", "cluster.conf"])
def test_nginx_closes_idle_connections_before_monica_does(nodes: str) -> None:
    kept = number(ROOT / "nginx" / nodes, r"keepalive_timeout (\d+)s;")
    assert kept < number(ROOT / "gunicorn.conf.py", r"^keepalive = (\d+)$")
