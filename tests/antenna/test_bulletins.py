"""Health and jobs as events: told when they change, and part of the state."""

from __future__ import annotations

from typing import Any

import pytest

from monica.antenna.bulletins import Bulletins
from monica.antenna.events import Event, Events


class Watched:
    """A service whose health and jobs are set by hand."""

    def __init__(self) -> None:
        self.health: dict[str, Any] = {"status": "loading", "reason": "The model is loading.", "engine": "pico"}
        self.jobs: list[dict[str, Any]] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.events = Events()
        self.events.follow(self.note)
        self.bulletins = Bulletins(self.events, lambda: self.health, lambda: self.jobs)

    def note(self, event: Event) -> None:
        self.told.append((event.kind, event.data))


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_only_changes_are_told(watched: Watched) -> None:
    watched.bulletins.tick()
    watched.bulletins.tick()
    watched.health = {"status": "ok", "reason": None, "engine": "pico"}
    watched.bulletins.tick()
    assert [(kind, data["status"]) for kind, data in watched.told] == [("health", "loading"), ("health", "ok")]


def test_a_reason_that_only_counts_on_is_no_news(watched: Watched) -> None:
    for seconds in (16, 17):
        watched.health = {"status": "degraded", "reason": f"At one step for {seconds} s.", "engine": "pico"}
        watched.bulletins.tick()
    assert len(watched.told) == 1


def test_each_job_that_goes_on_is_told(watched: Watched) -> None:
    watched.bulletins.tick()
    watched.told.clear()
    watched.jobs = [{"id": "b", "made": 0}, {"id": "a", "made": 1}]
    watched.bulletins.tick()
    watched.jobs = [{"id": "b", "made": 1}, {"id": "a", "made": 1}]
    watched.bulletins.tick()
    assert [(data["id"], data["made"]) for _, data in watched.told] == [("a", 1), ("b", 0), ("b", 1)]


def test_a_newcomer_gets_all_of_it(watched: Watched) -> None:
    watched.jobs = [{"id": "a"}]
    watched.bulletins.tick()
    heard = list[bytes]()
    watched.events.listen(heard.append, dict)
    assert b'"health": {"status": "loading"' in heard[0]
    assert b'"jobs": [{"id": "a"}]' in heard[0]
