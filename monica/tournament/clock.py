"""The clock of a tournament: started, paused and shifted. It has the antenna say what falls due, to the second."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from monica.antenna.antenna import Antenna
from monica.antenna.cue import Chimes, Cue, Priority
from monica.antenna.events import Events
from monica.antenna.journal import Journal
from monica.antenna.rundown import QueueFull
from monica.errors import InvalidRequest, MonicaError
from monica.tournament.plan import Plan
from monica.tournament.standing import Standing
from monica.tournament.timing import Counters, Timing

FACT = "clock"
"""What the journal calls the state of the clock."""
PREPARE_S = 300.0
"""How long before its time an announcement is queued, held, so that its sound is made."""
MAX_PREPARED = 3
NOTE_EVERY_S = 10.0
"""How often a running clock is noted on disk. After a reboot, the time since then is taken from the time of day."""

OFF: dict[str, Any] = {
    "state": "off",
    "levels": 0,
    **dict.fromkeys(("level", "name", "text", "next_text", "elapsed_s", "left_s")),
}
"""What a clock without levels shows."""

logger = logging.getLogger(__name__)


class NoClock(MonicaError):
    """The clock has no levels: it is off."""

    status, code = 409, "clock_off"


class TournamentClock:
    """Off until it is given a plan. Thread-safe. `tick` says what is due."""

    def __init__(self, antenna: Antenna, journal: Journal, events: Events, counters: Counters | None = None) -> None:
        self._antenna = antenna
        self._journal = journal
        self._events = events
        self._counters = counters or Counters()
        # Taken before the antenna's own lock, never after it.
        self._lock = threading.RLock()
        self._standing: Standing | None = None
        self._restored = False
        self._told: tuple[object, object] | None = (OFF["state"], OFF["level"])
        events.show("clock", self.as_dict)

    @property
    def plan(self) -> Plan | None:
        """The levels; None if the clock is off."""
        standing = self._standing
        return standing.plan if standing is not None else None

    def load(self, plan: Plan | None) -> None:
        """Start over with a plan, not running yet. None switches the clock off."""
        with self._lock:
            self._restore()
            self._withdraw_all()
            self._set(None if plan is None else Standing(plan, self._note(0.0, False)))

    def start(self) -> None:
        """Let it run, from where it is. Raises NoClock."""
        self._move(lambda position: position, True)

    def pause(self) -> None:
        """Stop it where it is. Raises NoClock."""
        self._move(lambda position: position, False)

    def shift(self, seconds: float) -> None:
        """Move it on, or back if negative. What it is moved back over is said again. Raises NoClock."""
        self._move(lambda position: position + seconds)

    def go_to(self, level: int) -> None:
        """Move it to the beginning of a level, counted from 1. Raises NoClock, InvalidRequest."""
        with self._lock:
            plan = self._in_use().plan
            if not 1 <= level <= len(plan.levels):
                raise InvalidRequest(f"level: 1 to {len(plan.levels)}.", param="level")
            self._move(lambda _: plan.starts[level - 1])

    def tick(self) -> float:
        """Say what is due. Returns the seconds until something may be due again, math.inf for never."""
        with self._lock:
            self._restore()
            standing = self._standing
            if standing is None:
                return math.inf
            position = self._position(standing)
            marks, index = standing.plan.marks, standing.next_mark
            if standing.timing.running:
                while index < len(marks) and marks[index].at_s <= position:
                    self._say(standing, index, position)
                    index += 1
                if index != standing.next_mark or position - standing.timing.position_s > NOTE_EVERY_S:
                    self._save(replace(standing, next_mark=index, timing=self._note(position, True)))
                self._drop_late(standing, position)
            self._prepare(standing, index, position)
            self._tell()
            left = marks[index].at_s - position if standing.timing.running and index < len(marks) else None
            self._antenna.reserve(left)
            return math.inf if left is None else left

    def as_dict(self) -> dict[str, Any]:
        """Return what it shows, as JSON. It waits for no lock."""
        standing = self._standing
        return OFF if standing is None else standing.as_dict(self._position(standing))

    def _in_use(self) -> Standing:
        self._restore()
        if self._standing is None:
            raise NoClock("The clock has no levels: give it a book first.")
        return self._standing

    def _position(self, standing: Standing) -> float:
        return standing.timing.position(self._counters.steady())

    def _note(self, position: float, running: bool) -> Timing:
        return Timing.note(position, running, self._counters)

    def _move(self, where: Callable[[float], float], running: bool | None = None) -> None:
        with self._lock:
            self.tick()  # what has fallen due until now
            standing = self._in_use()
            position = self._position(standing)
            moved = min(max(0.0, where(position)), standing.plan.starts[-1]) if running is None else position
            runs = standing.timing.running if running is None else running
            if moved != position:
                standing = self._moved(standing, moved)
            self._set(replace(standing, timing=self._note(moved, runs)))
            self.tick()

    def _moved(self, standing: Standing, position: float) -> Standing:
        """Return it with the marks before a position over, and those after it to be said, perhaps again."""
        before, first = standing.next_mark, standing.plan.first_mark(position)
        for passed in range(min(before, first), max(before, first)):
            self._withdraw(standing.cue_id(passed))
        takes = dict(standing.takes)
        for again in range(first, before):
            takes[again] = takes.get(again, 0) + 1
        return replace(standing, next_mark=first, takes=tuple(takes.items()))

    def _set(self, standing: Standing | None) -> None:
        self._save(standing)
        self._told = None  # everyone hears of it
        self._tell()

    def _save(self, standing: Standing | None) -> None:
        self._standing = standing
        self._journal.save_fact(FACT, "" if standing is None else standing.as_json())

    def _tell(self) -> None:
        shown = self.as_dict()
        if self._told != (shown["state"], shown["level"]):
            self._told = shown["state"], shown["level"]
            self._events.publish("clock", shown)

    def _say(self, standing: Standing, index: int, position: float) -> None:
        """Let the announcement of a mark go on air, unless it has been already, or it is too late."""
        mark, cue_id = standing.plan.marks[index], standing.cue_id(index)
        late = position - mark.at_s
        if late > mark.kind.patience_s:
            logger.warning("the clock's announcement %s is %.0f s late: it is not said", ascii(mark.text), late)
            self._antenna.expire(cue_id)
            return
        try:
            cue = self._antenna.find(cue_id) or self._queue(standing, index)
        except QueueFull as error:
            logger.warning("the clock's announcement %s is not said: %s", ascii(mark.text), error.message)
            return
        if cue.state.waits:
            self._antenna.change(cue_id, {"hold": False})

    def _drop_late(self, standing: Standing, position: float) -> None:
        """Drop what could not go on air in time, as without a speaker."""
        for index in range(max(0, standing.next_mark - MAX_PREPARED), standing.next_mark):
            mark = standing.plan.marks[index]
            if position - mark.at_s > mark.kind.patience_s:
                self._antenna.expire(standing.cue_id(index))

    def _prepare(self, standing: Standing, index: int, position: float) -> None:
        """Queue the next announcements, held, so that their sounds are made."""
        for coming in range(index, min(index + MAX_PREPARED, len(standing.plan.marks))):
            due = standing.plan.marks[coming].at_s - position <= PREPARE_S
            if due and self._antenna.find(standing.cue_id(coming)) is None:
                with suppress(QueueFull):  # there may be room when its time comes
                    self._queue(standing, coming)

    def _queue(self, standing: Standing, index: int) -> Cue:
        mark, chimes = standing.plan.marks[index], Chimes(standing.plan.chime)
        cue = Cue(mark.text, id=standing.cue_id(index), priority=Priority.URGENT, chimes=chimes, hold=True)
        return self._antenna.add(cue)

    def _withdraw(self, cue_id: str) -> None:
        cue = self._antenna.find(cue_id)
        if cue is not None and cue.state.waits:
            self._antenna.drop(cue_id)

    def _withdraw_all(self) -> None:
        standing = self._standing
        if standing is not None:
            for index in range(len(standing.plan.marks)):
                self._withdraw(standing.cue_id(index))

    def _restore(self) -> None:
        """Take over what an earlier process left, as soon as it can be read."""
        if self._restored or not self._journal.is_open:
            return
        self._restored = True
        written = self._journal.fact(FACT)
        if not written or self._standing is not None:
            return
        try:
            found = Standing.from_json(written)
            found.plan.marks  # noqa: B018 - a plan that cannot be reckoned with is not a plan
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            logger.error("the clock cannot be read, and is off: %r", error)
            return
        self._standing = replace(found, timing=found.timing.taken_over(self._counters))
