"""What goes on air when, and whether the room has heard it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from monica import metrics
from monica.antenna.cue import Cue, Priority, State, Trouble
from monica.antenna.events import Events, Listener
from monica.antenna.journal import MAX_HISTORY, Journal, unfinished
from monica.antenna.on_air import Ducking, OnAir, Outcome
from monica.antenna.rundown import Rundown
from monica.antenna.speakers import Speakers

MAX_INTERRUPTIONS = 3
"""How often a cue that the room may not have heard goes on air again."""
RECOVER_S = 2.0
"""How often a disk that could not be written is tried again."""
RESERVED_S = 30.0
"""How long before something that is said to the second the air is kept free for it. Longer sentences are few."""
SHOWN_HISTORY = 50
"""Number of ended cues in the whole state. The rest of the history is asked for."""

NO_DUCKING = Ducking(0.0, 0)

Clock = Callable[[], float]

logger = logging.getLogger(__name__)


class Playout:
    """One cue on air at a time, through the speaker that plays. Thread-safe. `tick` moves it on.

    clock: seconds that never go back, for all durations. now: seconds since the epoch, for what is shown, for `at` and
    for `expires`. ducking: what mixers are told.
    """

    def __init__(
        self,
        journal: Journal,
        events: Events,
        clock: Clock = time.monotonic,
        now: Clock = time.time,
        ducking: Ducking = NO_DUCKING,
    ) -> None:
        self._journal = journal
        self._events = events
        self._clock = clock
        self._ducking = ducking
        self._now = now
        self._changed = threading.Condition(threading.RLock())
        self._rundown = Rundown()
        self._on_air: OnAir | None = None
        self._history: deque[Cue] = deque(maxlen=MAX_HISTORY)
        self._speakers = Speakers()
        self._recovered = 0.0
        self._held = False
        self._reserved: float | None = None

    def open(self) -> None:
        """Take over the queue and the history that an earlier process left."""
        with self._changed:
            self._restore(self._journal.open())
            self._held = self._held or self._journal.fact("held") == "1"

    def tick(self) -> None:
        """Do what is due: drop what has expired, notice what is over, put the next cue on air."""
        with self._changed:
            now, clock = self._now(), self._clock()
            if clock - self._recovered >= RECOVER_S:
                self._recovered = clock
                self._restore(self._journal.recover())
            if self._on_air is not None:
                self._look_after(self._on_air, clock)
            for cue in self._rundown.expired(now):
                self._expire(cue)
            speaker = self._speakers.active()
            if self._on_air is None and not self._held and speaker is not None:
                cue_or_none = self._rundown.next_up(now, clock, lambda cue: self._fits(cue, clock))
                if cue_or_none is not None:
                    self._begin(cue_or_none, speaker.id, clock)

    def reserve(self, seconds: float | None) -> None:
        """Keep the air free for something that is said to the second: begin nothing that would not be over by then.

        Urgent cues begin all the same. seconds: from now; None for nothing.
        """
        with self._changed:
            near = seconds is not None and seconds <= RESERVED_S
            self._reserved = self._clock() + (seconds or 0.0) if near else None

    def _fits(self, cue: Cue, clock: float) -> bool:
        if self._reserved is None or cue.priority is Priority.URGENT or clock >= self._reserved:
            return True
        return clock + (cue.duration_s or 0.0) <= self._reserved

    def wait(self, timeout: float) -> None:
        """Return after a change, or after that many seconds."""
        with self._changed:
            self._changed.wait(timeout)

    @property
    def unwritable(self) -> str | None:
        """Why the queue cannot be written; None if it can."""
        return self._journal.reason

    def state(self) -> dict[str, Any]:
        """Return all there is to know, as JSON: what is on air, the queue, the latest history, the speakers."""
        with self._changed:
            return self._transport() | {
                "queue": [cue.as_dict() for cue in self._rundown],
                "history": [cue.as_dict() for cue in self.history(SHOWN_HISTORY)],
                "speakers": self._speakers.as_list(),
            }

    def history(self, limit: int) -> list[Cue]:
        """Return the cues that have ended, the latest first."""
        with self._changed:
            return list(reversed(self._history))[:limit]

    def listen(self, listener: Listener, last_id: str | None) -> Callable[[], None]:
        """Add a listener to the events. Returns what removes it."""
        with self._changed:
            return self._events.listen(listener, self.state, last_id)

    def speaker_joined(self, speaker_id: str, name: str) -> None:
        """Note that a speaker has connected."""
        with self._changed:
            self._speakers.join(speaker_id, name)
            self._tell_speakers()

    def speaker_left(self, speaker_id: str) -> None:
        """Note that a connection of a speaker has ended."""
        with self._changed:
            if self._speakers.leave(speaker_id):
                if self._on_air is not None and self._on_air.speaker == speaker_id:
                    self._on_air.absent = True
                self._tell_speakers()

    def report_ready(self, speaker_id: str, may_play: bool) -> None:
        """Note whether a speaker may play; a browser may not until someone has tapped the page."""
        with self._changed:
            speaker = self._speakers.get(speaker_id)
            if speaker is not None and speaker.may_play is not may_play:
                speaker.may_play = may_play
                self._tell_speakers()

    def report_playing(self, speaker_id: str, cue_id: str, position_s: float = 0.0) -> bool:
        """Note that a speaker plays a cue. Returns whether it should: False if that cue is not on air (any more)."""
        with self._changed:
            # It can play, even if it was so late that it was taken for one that does not answer.
            self.report_ready(speaker_id, True)
            if self._on_air is None or self._on_air.cue.id != cue_id:
                return False
            self._on_air.confirm(speaker_id, self._clock(), position_s)
            self._changed.notify_all()
            return True

    def report_ended(self, cue_id: str) -> None:
        """Note that a speaker has played a cue to its end."""
        with self._changed:
            if self._on_air is not None and self._on_air.cue.id == cue_id:
                self._end(self._on_air.cue, State.DONE)
            elif (cue := self._rundown.get(cue_id)) is not None and cue.interruptions:
                cue.reason = cue.code = None  # it was heard after all
                self._end(cue, State.DONE)

    def report_failed(self, cue_id: str, reason: str) -> None:
        """Note that a speaker could not play a cue. reason: in a few words."""
        with self._changed:
            if self._on_air is not None and self._on_air.cue.id == cue_id:
                logger.warning("a speaker could not play announcement %s: %s", cue_id, ascii(reason))
                self._interrupt(Trouble.SPEAKER_FAILED, f"The speaker could not play it: {reason}")

    def _restore(self, cues: list[Cue]) -> None:
        self._history.extend(cue for cue in cues if cue.state.has_ended)
        now, clock = self._now(), self._clock()
        for cue in unfinished(cues):
            if cue.state is State.ON_AIR and self._on_air is None:
                # The speaker has the whole sound and goes on playing; it will say so once it is connected again.
                passed = min(max(0.0, now - (cue.begun or now)), cue.duration_s or 0.0)
                self._on_air = OnAir.resume(cue, (cue.duration_s or 0.0) - passed, clock)
            else:
                cue.state = State.QUEUED
                self._rundown.put_back(cue)

    def _begin(self, cue: Cue, speaker: str, clock: float) -> None:
        self._rundown.remove(cue)
        self._on_air = OnAir.begin(cue, speaker, clock)
        cue.begun = self._now()
        self._set_state(cue, State.ON_AIR)
        self._tell_transport()

    def _look_after(self, on_air: OnAir, clock: float) -> None:
        outcome = on_air.outcome(clock)
        if outcome is Outcome.HEARD:
            self._end(on_air.cue, State.DONE)
        elif outcome is Outcome.LOST:
            speaker = self._speakers.get(on_air.speaker or "")
            if speaker is not None and not on_air.confirmed:
                self.report_ready(speaker.id, False)  # it does not answer: another one may
            self._interrupt(Trouble.NOT_HEARD)

    def _expire(self, cue: Cue) -> None:
        if cue.reason is None:
            cue.reason, cue.code = Trouble.EXPIRED.sentence, Trouble.EXPIRED
        self._end(cue, State.EXPIRED)

    def _interrupt(self, trouble: Trouble, reason: str | None = None) -> None:
        """Put what is on air back into the queue: the room may not have heard it."""
        if self._on_air is None:
            return
        cue, self._on_air = self._on_air.cue, None
        cue.reason, cue.code = reason or trouble.sentence, trouble
        cue.interruptions += 1
        if cue.interruptions >= MAX_INTERRUPTIONS:
            self._end(cue, State.FAILED)
        else:
            self._rundown.put_back(cue)
            self._rundown.move_to_front(cue)
            self._set_state(cue, State.QUEUED)
        self._tell_transport()

    def _end(self, cue: Cue, state: State) -> None:
        self._rundown.remove(cue)
        was_on_air = self._on_air is not None and self._on_air.cue is cue
        if was_on_air:
            self._on_air = None
        cue.ended = self._now()
        self._history.append(cue)
        metrics.announcements.labels(state).inc()
        logger.info("announcement %s is %s%s", cue.id, state, f": {cue.reason}" if cue.reason else "")
        self._set_state(cue, state)
        if was_on_air:
            self._tell_transport()

    def _set_state(self, cue: Cue, state: State) -> None:
        cue.state = state
        self._save(cue)

    def _save(self, cue: Cue) -> None:
        self._journal.save(cue)
        metrics.announcements_waiting.set(len(self._rundown))
        self._events.publish("announcement", cue.as_dict())
        self._changed.notify_all()

    def _transport(self) -> dict[str, Any]:
        on_air = self._on_air
        return {
            "held": self._held,
            "on_air": on_air.cue.as_dict() if on_air is not None else None,
            "left_s": max(0.0, on_air.ends - self._clock()) if on_air is not None else None,
            "speaker": on_air.speaker if on_air is not None else None,
            "duck_db": self._ducking.db,
            "duck_ramp_ms": self._ducking.ramp_ms,
        }

    def _tell_transport(self) -> None:
        self._events.publish("antenna", self._transport())
        self._changed.notify_all()

    def _tell_speakers(self) -> None:
        speakers = self._speakers.as_list()
        metrics.speakers.set(len(speakers))
        self._events.publish("speakers", {"speakers": speakers})
        self._changed.notify_all()
