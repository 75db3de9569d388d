"""What Monica adds to diskcache, as SQLite sees it."""

from __future__ import annotations

import time
from pathlib import Path

from monica.store.disk import PAGES, open_cache

KEY = "0" * 64


def test_every_hit_is_the_same_statement(tmp_path: Path) -> None:
    """Each connection keeps the last statements prepared, and every thread has a connection."""
    cache = open_cache("takes", tmp_path / "takes", 2**30, visiting=False)
    cache.set(KEY, b"sound")
    (made,) = cache.execute("SELECT access_time FROM Cache").fetchone()
    statements: list[str] = []
    cache._con.set_trace_callback(statements.append)
    for _ in range(3):
        assert cache.get(KEY) == b"sound"
    cache._con.set_trace_callback(None)
    assert len({statement for statement in statements if statement.startswith("UPDATE Cache")}) == 1
    ((used, hits),) = cache.execute("SELECT access_time, access_count FROM Cache").fetchall()
    assert made <= used <= time.time()
    assert hits == 3
    cache.close()


def test_connections_keep_few_pages(tmp_path: Path) -> None:
    with open_cache("takes", tmp_path / "takes", 2**30, visiting=False) as cache:
        assert cache.execute("PRAGMA cache_size").fetchone() == (PAGES,)
