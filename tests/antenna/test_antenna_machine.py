"""Whatever happens, in whatever order: one cue on air at a time, none lost, none said twice without a word."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings, strategies
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from monica.antenna.antenna import Antenna, NotWaiting
from monica.antenna.cue import Cue, Priority, State
from monica.antenna.events import Events
from monica.antenna.journal import Journal
from monica.antenna.playout import MAX_INTERRUPTIONS
from monica.errors import SynthesisFailed

ENDS = ("done", "stopped", "dropped", "expired", "failed")


class AntennaMachine(RuleBasedStateMachine):
    """The antenna with a fake clock, speakers that do as they like, and a server that may be killed at any moment."""

    cues = Bundle("cues")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = 1000.0
        self.offset = 0.0  # the wall clock may be set; the other one never goes back
        self.added: dict[str, Cue] = {}
        self.begun: list[str] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.held = False
        self.connected: list[str] = []
        self.start()

    def start(self) -> None:
        self.events = Events()
        self.journal = Journal(Path(self.folder.name) / "antenna.sqlite3")
        self.antenna = Antenna(self.journal, self.events, lambda: self.clock, lambda: self.clock + self.offset)
        self.antenna.open()
        publish = self.events.publish

        def record(kind: str, data: dict[str, Any]) -> Any:
            self.told.append((kind, data))
            if kind == "announcement" and data["state"] == "on_air":
                self.begun.append(data["id"])
            return publish(kind, data)

        self.events.publish = record  # type: ignore[method-assign]

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()

    @initialize(target=cues, priorities=strategies.lists(strategies.sampled_from(Priority), min_size=1, max_size=4))
    def evening_begins(self, priorities: list[Priority]) -> Any:
        added = [self.add(priority, None, None, hold=False, first=False) for priority in priorities]
        self.speaker_joins("salle")
        self.make("made", 5.0)
        return multiple(*added)

    @rule(
        target=cues,
        priority=strategies.sampled_from(Priority),
        expires=strategies.none() | strategies.none() | strategies.floats(1, 100),
        at=strategies.none() | strategies.none() | strategies.floats(-10, 60),
        hold=strategies.sampled_from([False, False, False, True]),
        first=strategies.booleans(),
    )
    def add(self, priority: Priority, expires: float | None, at: float | None, hold: bool, first: bool) -> str:
        now = self.clock + self.offset
        cue = Cue(
            "Bonjour", priority=priority, hold=hold and not first, expires=None if expires is None else now + expires,
            at=None if at is None else now + at,
        )  # fmt: skip
        self.antenna.add(cue, first)
        self.added[cue.id] = cue
        return cue.id

    @rule(
        outcome=strategies.sampled_from(["made", "made", "made", "made", "failed", "again"]),
        seconds=strategies.floats(0.1, 20),
    )
    def make(self, outcome: str, seconds: float) -> None:
        while (cue := self.antenna.next_to_make(0)) is not None:
            if outcome == "made":
                self.antenna.made(cue, "key", seconds, 0.0)
            else:
                self.antenna.not_made(cue, SynthesisFailed("no"), again=outcome == "again")
            if outcome == "again":
                break
        self.antenna.tick()

    @rule(seconds=strategies.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.clock += seconds
        self.antenna.tick()
        now = self.clock + self.offset
        assert all(cue["expires"] is None or cue["expires"] > now for cue in self.antenna.state()["queue"])

    @rule(seconds=strategies.floats(-100, 100))
    def clock_is_set(self, seconds: float) -> None:
        self.offset += seconds
        self.antenna.tick()

    @rule(name=strategies.sampled_from(["salle", "bar"]))
    def speaker_joins(self, name: str) -> None:
        self.connected.append(name)
        self.antenna.speaker_joined(name, name)
        self.antenna.report_ready(name, True)
        self.antenna.tick()

    @rule()
    def room_falls_silent_and_comes_back(self) -> None:
        """Every speaker goes, what is on air should have ended long ago, and one comes back."""
        for name in self.connected:
            self.antenna.speaker_left(name)
        self.connected.clear()
        self.time_passes(60)
        self.make("made", 5.0)
        self.speaker_joins("salle")

    @precondition(lambda self: self.connected)
    @rule(data=strategies.data())
    def speaker_leaves(self, data: strategies.DataObject) -> None:
        name = data.draw(strategies.sampled_from(self.connected))
        self.connected.remove(name)
        self.antenna.speaker_left(name)

    @precondition(lambda self: self.begun)
    @rule(
        data=strategies.data(),
        what=strategies.sampled_from(["playing", "ended", "failed"]),
        name=strategies.sampled_from(["salle", "bar"]),
    )
    def speaker_reports(self, data: strategies.DataObject, what: str, name: str) -> None:
        cue = data.draw(strategies.sampled_from(self.begun[-3:]))
        if what == "playing":
            self.antenna.report_playing(name, cue, 0.0)
        elif what == "ended":
            self.antenna.report_ended(cue)
        else:
            self.antenna.report_failed(cue, "no sound card")
        self.antenna.tick()

    @rule(may=strategies.booleans(), name=strategies.sampled_from(["salle", "bar"]))
    def speaker_may_play(self, may: bool, name: str) -> None:
        self.antenna.report_ready(name, may)

    @rule(what=strategies.sampled_from(["stop", "skip", "hold", "resume"]))
    def person_steers(self, what: str) -> None:
        on_air = self.antenna.state()["on_air"]
        getattr(self.antenna, what)()
        if what in ("stop", "hold"):
            self.held = True
        elif what == "resume":
            self.held = False
        if what in ("stop", "skip"):
            assert self.antenna.state()["on_air"] is None
            if on_air is not None:
                assert self.antenna.get(on_air["id"]).state is State.STOPPED
        self.antenna.tick()

    @rule(cue=consumes(cues))
    def drop(self, cue: str) -> None:
        try:
            self.antenna.drop(cue)
        except NotWaiting:
            assert self.antenna.get(cue).state is State.ON_AIR

    @rule(cue=cues, before=strategies.none() | cues, priority=strategies.none() | strategies.sampled_from(Priority))
    def change(self, cue: str, before: str | None, priority: Priority | None) -> None:
        waiting = [each["id"] for each in self.antenna.state()["queue"]]
        if cue not in waiting or cue == before:
            return
        if before in waiting and priority is None:
            self.antenna.change(cue, {"before": before})
            order = [each["id"] for each in self.antenna.state()["queue"]]
            assert order.index(cue) == order.index(before) - 1
        elif priority is not None:
            self.antenna.change(cue, {"priority": priority, "hold": False})

    @rule()
    def server_is_killed(self) -> None:
        """Nothing is written at the end; the speakers connect again, or not."""
        self.journal.close()
        self.start()
        self.connected.clear()
        self.added = {cue: self.antenna.get(cue) for cue in self.added}

    @invariant()
    def none_is_lost(self) -> None:
        state = self.antenna.state()
        waiting = [cue["id"] for cue in state["queue"]]
        on_air = [state["on_air"]["id"]] if state["on_air"] else []
        ended = [cue.id for cue in self.antenna.history(10**6)]
        assert sorted(waiting + on_air + ended) == sorted(self.added)

    @invariant()
    def none_is_said_twice_without_a_word(self) -> None:
        for cue in set(self.begun):
            found = self.antenna.get(cue)
            assert self.begun.count(cue) <= found.interruptions + 1 <= MAX_INTERRUPTIONS + 1
            if found.interruptions and found.state.waits:
                assert found.reason

    @invariant()
    def what_is_expired_does_not_begin(self) -> None:
        on_air = self.antenna.state()["on_air"]
        assert on_air is None or on_air["expires"] is None or on_air["begun"] < on_air["expires"]

    @invariant()
    def what_is_on_air_did_not_have_to_wait(self) -> None:
        on_air = self.antenna.state()["on_air"]
        assert on_air is None or not on_air["hold"]
        assert on_air is None or on_air["at"] is None or on_air["begun"] >= on_air["at"]

    @invariant()
    def what_was_on_air_has_a_word_about_its_end(self) -> None:
        on_air = self.antenna.state()["on_air"]
        for cue in set(self.begun):
            found = self.antenna.get(cue)
            assert found.state.has_ended or found.interruptions or (on_air and on_air["id"] == cue)

    @invariant()
    def queue_is_in_order(self) -> None:
        ranks = [Priority(cue["priority"]).rank for cue in self.antenna.state()["queue"]]
        assert ranks == sorted(ranks)

    @invariant()
    def held_is_remembered(self) -> None:
        assert self.antenna.state()["held"] is self.held


AntennaMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestAntenna = AntennaMachine.TestCase
