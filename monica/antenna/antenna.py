"""The antenna, as people and programs steer it: announcements are queued, moved, dropped, stopped and replayed."""

from __future__ import annotations

from typing import Any

from monica.antenna.cue import Cue, State
from monica.antenna.playout import Playout
from monica.antenna.rundown import UnknownCue
from monica.errors import InvalidRequest, MonicaError

AHEAD = 6
"""How many of the next cues are made ahead of their time."""
SOON_S = 60.0
"""A cue that may go on air within that time is made before those that may not."""
FADE_MS = 100
"""How long a speaker takes to fade out what is stopped."""


class NotWaiting(MonicaError):
    """The announcement does not wait any more: it is on air, or has ended."""

    status, code = 409, "announcement_not_waiting"


class NothingToReplay(MonicaError):
    """Nothing has been on air yet."""

    status, code = 409, "nothing_to_replay"


class Antenna(Playout):
    """The queue of the room. Every method may be called from any thread."""

    def add(self, cue: Cue, first: bool = False) -> Cue:
        """Queue a cue. first: before the others of its priority. Raises QueueFull."""
        with self._changed:
            cue.created = self._now()
            self._rundown.append(cue)
            if first:
                self._rundown.move_to_front(cue)
            self._save(cue)
            return cue

    def get(self, cue_id: str) -> Cue:
        """Return a cue that waits, is on air, or has ended not long ago. Raises UnknownCue."""
        found = self.find(cue_id)
        if found is None:
            raise UnknownCue("There is no such announcement, or it has been forgotten.", param="id")
        return found

    def find(self, cue_id: str) -> Cue | None:
        """Return a cue as `get` does; None if there is none."""
        with self._changed:
            found = self._rundown.get(cue_id)
            if found is None and self._on_air is not None and self._on_air.cue.id == cue_id:
                found = self._on_air.cue
            return found or next((cue for cue in self._history if cue.id == cue_id), None)

    def change(self, cue_id: str, changes: dict[str, Any]) -> Cue:
        """Change `priority`, `hold`, `at` or `expires` of a waiting cue, or move it: `before` is an id, or None for
        the end.

        Raises UnknownCue, NotWaiting, InvalidRequest.
        """
        with self._changed:
            cue = self._waiting(cue_id)
            moves = "before" in changes
            before = self._waiting(changes["before"]) if changes.get("before") is not None else None
            priority = changes.get("priority", before.priority if before is not None else cue.priority)
            if before is not None and before.priority is not priority:
                raise InvalidRequest("before: An announcement is moved before one of its own priority.", param="before")
            for name in ("hold", "at", "expires"):
                if name in changes:
                    setattr(cue, name, changes[name])
            if priority is not cue.priority:
                cue.priority, moves = priority, True
            if moves and before is not cue:
                self._rundown.move(cue, before)
            self._save(cue)
            return cue

    def drop(self, cue_id: str) -> Cue:
        """Take a cue out of the queue. One that has ended stays as it is. Raises UnknownCue, NotWaiting if on air."""
        with self._changed:
            cue = self.get(cue_id)
            if cue.state is State.ON_AIR:
                raise NotWaiting("This announcement is on air: stop it.", param="id")
            if cue.state.waits:
                self._end(cue, State.DROPPED)
            return cue

    def expire(self, cue_id: str) -> None:
        """Drop a cue whose time has passed, if it still waits."""
        with self._changed:
            cue = self._rundown.get(cue_id)
            if cue is not None:
                self._expire(cue)

    def stop(self) -> None:
        """Cut off what is on air, and hold the queue: silence, until `resume`."""
        with self._changed:
            self._hold(True)
            self._cut()

    def skip(self) -> None:
        """Cut off what is on air, and go on with the next cue."""
        with self._changed:
            self._cut()

    def hold(self) -> None:
        """Let nothing more go on air. What is on air goes on."""
        with self._changed:
            self._hold(True)

    def resume(self) -> None:
        """Go on with the queue after `hold` or `stop`."""
        with self._changed:
            self._hold(False)

    def replay(self, cue_id: str | None = None) -> Cue:
        """Queue a cue again, before the others of its priority: one that has ended, or the last that was on air.

        Raises UnknownCue, NothingToReplay, QueueFull.
        """
        with self._changed:
            if cue_id is not None:
                cue: Cue | None = self.get(cue_id)
            else:
                cue = next((cue for cue in reversed(self._history) if cue.begun is not None), None)
            if cue is None:
                raise NothingToReplay("Nothing has been on air yet.")
            return self.add(cue.again(), first=True)

    def next_to_make(self, timeout: float) -> Cue | None:
        """Return a cue whose sound is needed next, which is now being made; None if there is none within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._unmade() is not None, timeout)
            cue = self._unmade()
            if cue is not None:
                self._set_state(cue, State.MAKING)
            return cue

    def made(self, cue: Cue, sound_key: str | None, duration_s: float, lead_s: float) -> None:
        """Note that the sound of a cue is there."""
        with self._changed:
            if cue.state is State.MAKING:
                cue.sound_key, cue.duration_s, cue.lead_s = sound_key, duration_s, lead_s
                self._set_state(cue, State.READY)

    def not_made(self, cue: Cue, error: MonicaError, again: bool) -> None:
        """Note that the sound of a cue could not be made. again: whether it is worth trying again."""
        with self._changed:
            if cue.state is State.MAKING:
                cue.reason, cue.code = error.message, error.code
                if again:
                    self._set_state(cue, State.QUEUED)
                else:
                    self._end(cue, State.FAILED)

    def _waiting(self, cue_id: str) -> Cue:
        cue = self.get(cue_id)
        if not cue.state.waits:
            raise NotWaiting("This announcement does not wait any more.", param="id")
        return cue

    def _unmade(self) -> Cue | None:
        soon = self._now() + SOON_S
        due: list[Cue] = []
        later: list[Cue] = []
        for cue in self._rundown:
            (later if cue.hold or (cue.at is not None and cue.at > soon) else due).append(cue)
        return next((cue for cue in due[:AHEAD] + later[:AHEAD] if cue.state is State.QUEUED), None)

    def _cut(self) -> None:
        if self._on_air is not None:
            self._events.publish("stop", {"id": self._on_air.cue.id, "fade_ms": FADE_MS})
            self._end(self._on_air.cue, State.STOPPED)

    def _hold(self, held: bool) -> None:
        if self._held is not held:
            self._held = held
            self._journal.save_fact("held", "1" if held else "0")
            self._tell_transport()
