"""However a clock is steered, killed and set: each mark that it passes is said once, in time, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from monica.antenna.antenna import Antenna
from monica.antenna.events import Events
from monica.antenna.journal import Journal
from monica.tournament.clock import NOTE_EVERY_S, TournamentClock
from monica.tournament.plan import Level, Notice, Plan
from monica.tournament.timing import Counters

PLAN = Plan(
    "plan",
    tuple(Level(str(number), 600.0, f"Niveau {number}.") for number in range(1, 7)),
    (Notice(300.0, "Cinq minutes."), Notice(60.0, "Une minute.")),
)
STEP_S = 10.0
"""How often the station ticks here. What is said may be that late."""


class ClockMachine(RuleBasedStateMachine):
    """The clock beside a model of it: a position, and the marks before it that are over."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.steady, self.now, self.boot = 1000.0, 1_000_000.0, 1
        self.loaded = 0
        self.position, self.over, self.running = 0.0, 0, False
        self.due: list[str] = []
        self.said: list[str] = []
        self.start_server()

    def start_server(self) -> None:
        self.events = Events()
        self.journal = Journal(Path(self.folder.name) / "antenna.sqlite3")
        self.antenna = Antenna(self.journal, self.events, lambda: self.steady, lambda: self.now)
        counters = Counters(lambda: self.steady, lambda: self.now, lambda: str(self.boot))
        self.clock = TournamentClock(self.antenna, self.journal, self.events, counters)
        self.antenna.open()
        self.antenna.speaker_joined("salle", "La salle")
        self.antenna.report_ready("salle", True)
        self.step()

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()

    def step(self) -> None:
        """One round of the station, in a room that makes and hears everything at once."""
        while self.running and self.over < len(PLAN.marks) and PLAN.marks[self.over].at_s <= self.position:
            self.due.append(PLAN.marks[self.over].text)
            self.over += 1
        self.clock.tick()
        while (cue := self.antenna.next_to_make(0)) is not None:
            self.antenna.made(cue, "key", 1.0, 0.0)
        self.antenna.tick()
        while (on_air := self.antenna.state()["on_air"]) is not None:
            self.said.append(on_air["text"])
            self.antenna.report_ended(on_air["id"])
            self.antenna.tick()

    def move(self, position: float) -> None:
        self.step()  # what was due before
        moved = min(max(0.0, position), PLAN.starts[-1])
        if moved != self.position:
            self.position, self.over = moved, PLAN.first_mark(moved)

    @initialize()
    def loads_first(self) -> None:
        self.loads()

    @rule()
    def loads(self) -> None:
        self.loaded += 1
        self.clock.load(replace(PLAN, id=str(self.loaded)))
        self.position, self.over, self.running = 0.0, 0, False

    @rule()
    def starts(self) -> None:
        self.running = True
        self.clock.start()
        self.step()

    @rule()
    def pauses(self) -> None:
        self.running = False
        self.clock.pause()
        self.step()

    @rule(rounds=strategies.integers(1, 40))
    def time_passes(self, rounds: int) -> None:
        for _ in range(rounds):
            self.steady += STEP_S
            self.now += STEP_S
            self.position += STEP_S if self.running else 0.0
            self.step()

    @rule(seconds=strategies.sampled_from([-86400.0, -3600.0, -30.0, 30.0, 3600.0]))
    def time_of_day_is_set(self, seconds: float) -> None:
        self.now += seconds
        self.step()

    @rule(minutes=strategies.sampled_from([-20, -7, -1, 1, 7, 20]))
    def shifts(self, minutes: int) -> None:
        self.move(self.position + 60.0 * minutes)
        self.clock.shift(60.0 * minutes)
        self.step()

    @rule(level=strategies.integers(1, len(PLAN.levels)))
    def goes_to(self, level: int) -> None:
        self.move(PLAN.starts[level - 1])
        self.clock.go_to(level)
        self.step()

    @rule(seconds=strategies.sampled_from([0.0, 5.0]), clock_set=strategies.sampled_from([-3600.0, 0.0, 3600.0]))
    def server_is_killed(self, seconds: float, clock_set: float) -> None:
        """Nothing is written at the end. What falls due meanwhile is said a little late."""
        self.journal.close()
        self.steady += seconds
        self.now += seconds + clock_set
        self.position += seconds if self.running else 0.0
        self.start_server()

    @rule()
    def machine_boots_with_its_time_set_back(self) -> None:
        """The clock then stands where it was noted last."""
        self.journal.close()
        self.boot += 1
        self.steady = 5.0
        self.now -= 500.0
        before, self.running, runs = self.position, False, self.running
        self.start_server()
        self.running = runs
        self.position = self.shown_position()
        assert 0 <= before - self.position <= NOTE_EVERY_S + STEP_S or before > PLAN.starts[-1]

    def shown_position(self) -> float:
        shown = self.clock.as_dict()
        position: float = PLAN.starts[shown["level"] - 1] + shown["elapsed_s"]
        return position

    @invariant()
    def shows_where_it_is(self) -> None:
        if self.loaded:
            assert abs(self.shown_position() - self.position) < 1e-6
            over = self.position >= PLAN.starts[-1]
            assert self.clock.as_dict()["state"] == ("over" if over else "running" if self.running else "paused")

    @invariant()
    def says_each_mark_once(self) -> None:
        assert self.said == self.due

    @invariant()
    def only_the_next_ones_wait(self) -> None:
        waiting = self.antenna.state()["queue"]
        assert all(cue["hold"] and cue["id"].startswith(f"clock-{self.loaded}-") for cue in waiting)
        assert all(int(cue["id"].split("-")[2]) >= self.over for cue in waiting)


ClockMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestClock = ClockMachine.TestCase
