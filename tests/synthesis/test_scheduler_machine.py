"""Random sequences of requests, joins, hang-ups, deadlines, failures and shutdown: no waiter is left hanging."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from monica.audio.wav import encode_wav
from monica.errors import MonicaError, NotReady, Overloaded
from monica.synthesis.renderer import Renderer
from monica.synthesis.take import Lane, Take, Waiter
from tests.support.stepping import RATE, SteppingEngine, sound
from tests.support.takes import recipe_of

TEXTS = ["a", "bb", "cccc", "dddddddd", "e" * 12]
KINDS = ["ok", "ok", "silent", "no numbers", "endless", "hasty", "long", "error", "refuse", "crash begin", "crash step"]


def wav_of(text: str, kind: str) -> bytes:
    return encode_wav(sound(text, kind), RATE)


class FakeStore(dict[str, bytes]):
    """A store of takes in memory, by what they say."""

    def __init__(self) -> None:
        super().__init__()
        self.by_key: dict[str, bytes] = {}

    def get(self, key: str, *, in_metrics: bool = True) -> bytes | None:  # type: ignore[override]
        return self.by_key.get(key)

    def put(self, key: str, wav: bytes, metadata: str) -> bool:
        self[json.loads(metadata)["said"]] = wav
        self.by_key[key] = wav
        return True

    def volume(self) -> int:
        return 0


class SchedulerMachine(RuleBasedStateMachine):
    """The renderer and its scheduler, with an engine that fails at random."""

    @initialize(slots=st.integers(1, 3), queue_size=st.integers(1, 6))
    def create(self, slots: int, queue_size: int) -> None:
        self.now = 0.0
        self.engine = SteppingEngine(slots)
        self.engine.elapse = self.pass_a_second
        loader: Any = SimpleNamespace(ready_engine=lambda: self.engine)
        self.kept = FakeStore()
        store: Any = self.kept
        self.queue_size = queue_size
        self.renderer = Renderer(loader, store, queue_size, lambda: self.now)
        self.scheduler = self.renderer.scheduler
        self.waiting: list[tuple[Waiter, Take]] = []
        self.gone: list[Take] = []
        self.asked = 0
        self.retries_after: list[int | None] = []
        self.closed = False

    def pass_a_second(self) -> None:
        self.now += 1

    @rule(
        texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3, unique=True),
        live=st.booleans(),
        seconds=st.sampled_from([1, 5, 30, 300]),
        fresh=st.booleans(),
        keep=st.booleans(),
        attempts=st.lists(st.sampled_from(KINDS), max_size=2),
    )
    def ask(self, texts: list[str], live: bool, seconds: int, fresh: bool, keep: bool, attempts: list[str]) -> None:
        self.asked += 1
        self.engine.script[texts[0]] = attempts
        lane = Lane.LIVE if live else Lane.BACKGROUND
        waiter = Waiter(self.now + seconds, lane, keep)
        try:
            takes, _ = self.renderer.takes(map(recipe_of, texts), waiter, fresh=fresh)
        except NotReady:
            assert self.closed
        except Overloaded as error:
            self.retries_after.append(error.retry_after)
        else:
            self.waiting += [(waiter, take) for take in takes]

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        waiter, take = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        take.leave(waiter)
        self.gone.append(take)

    @rule(turns=st.integers(1, 12))
    def work(self, turns: int) -> None:
        for _ in range(turns):
            advanced = {utterance: utterance.left for utterance in self.engine.held}
            live = {take.text for take in self.scheduler.running.takes if take.lane is Lane.LIVE and not take.abandoned}
            self.scheduler.turn()
            moved = {utterance.text for utterance in self.engine.held if utterance.left != advanced.get(utterance)}
            if live & moved:
                assert not moved - live - self._live(), "a background take ran beside a live one"

    def _live(self) -> set[str]:
        return {take.text for take in self.scheduler.running.takes if take.lane is Lane.LIVE}

    @rule(jobs=st.integers(1, 6))
    def finish(self, jobs: int) -> None:
        """Takes are finished whenever the other thread comes to it."""
        for _ in range(jobs):
            self.scheduler.finishing.do_next()

    @rule(seconds=st.sampled_from([1, 1, 5, 20, 400]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(actions=st.sets(st.sampled_from(["pause", "resume"])))
    def break_engine(self, actions: set[str]) -> None:
        self.engine.fail_to = actions

    @precondition(lambda self: self.asked > 12)  # otherwise most runs would end before they get going
    @rule()
    def shut_down(self) -> None:
        self.scheduler.refuse()
        self.closed = True

    @invariant()
    def engine_holds_only_running_takes(self) -> None:
        if hasattr(self, "engine"):
            assert len(self.engine.held) == len(self.scheduler.running.takes)
            wanted = [take for take in self.scheduler._waiting if not take.abandoned and take.attempts == 1]
            assert len(wanted) <= self.queue_size

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        turns = 0
        while self.scheduler._has_work() or self.scheduler.finishing.takes:
            self.scheduler.turn()
            self.scheduler.finishing.do_next()
            turns += 1
            assert turns < 3000, "takes that never end"
        assert self.engine.held == self.engine.paused == []
        assert self.renderer._in_progress == {}
        assert all(seconds is not None and seconds >= 1 for seconds in self.retries_after)
        for _, take in self.waiting:
            assert take.sound.done(), "a waiter is left hanging"
            error = take.sound.exception()
            if error is None:
                text = take.text
                heard = take.sound.result()
                assert not text or heard in [wav_of(text, kind) for kind in ("ok", "hasty", "long")]
            else:
                assert isinstance(error, MonicaError)
                assert "No one waits" not in str(error), "a waiter was told that no one waits"
        assert all(take.sound.done() for take in self.gone)
        assert all(wav == wav_of(key, "ok") for key, wav in self.kept.items()), "a bad take was kept"


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
