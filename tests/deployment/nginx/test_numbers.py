"""Numbers of nginx's that only hold together with Monica's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monica.config import Settings
from tests.support.server import ROOT


def number(path: Path, pattern: str) -> float:
    (found,) = set(re.findall(pattern, path.read_text(), re.MULTILINE))
    return float(found)


def test_it_is_monica_who_says_that_it_took_too_long() -> None:
    patience = number(ROOT / "nginx/proxy.conf", r"^proxy_read_timeout (\d+)s;")
    again = number(ROOT / "nginx/proxy.conf", r"^proxy_next_upstream_timeout (\d+)s;")
    assert patience > Settings().deadline_s
    assert again + Settings().deadline_s <= patience


@pytest.mark.parametrize("nodes", ["one-node.conf", "two-nodes.conf"])
def test_it_is_never_monica_who_closes_an_idle_connection(nodes: str) -> None:
    kept = number(ROOT / "nginx" / nodes, r"keepalive_timeout (\d+)s;")
    assert kept < number(ROOT / "gunicorn.conf.py", r"^keepalive = (\d+)$")
