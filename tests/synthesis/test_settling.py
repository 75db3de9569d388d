"""Takes with faults: made again, the better one served, and none of them kept."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from monica.config import Settings
from monica.engine import SynthesisParams, Utterance
from monica.engine.espeak import EspeakEngine
from monica.errors import DeadlineExceeded, MonicaError
from monica.service import Service
from monica.speech import SpeechRequest
from monica.store.metadata import Metadata
from monica.synthesis.faults import Fault
from monica.synthesis.settling import SEED_STEP
from monica.synthesis.take import COOLER, Take
from tests.support.sounds import Sound, noise
from tests.synthesis.test_scheduler import Harness, error_of

TEXT = "Rusmir élimine Pablo"


class Recorder(Harness):
    """Takes note of what is served: the seed, and the seconds of the sound."""

    def __init__(self) -> None:
        super().__init__(slots=1, queue_size=50)
        self.served: list[tuple[int, float]] = []

    def _finish(self, take: Take, samples: NDArray[np.float32], took_s: float) -> bytes:
        self.served.append((take.seed, len(samples) / self.engine.sample_rate))
        return super()._finish(take, samples, took_s)


@pytest.fixture
def harness() -> Recorder:
    return Recorder()


@pytest.mark.parametrize(
    ("kinds", "served", "faults"),
    [
        (["long", "ok"], 1, set()),
        (["gapped", "long"], 1, {Fault.TOO_LONG}),
        (["long", "gapped"], 0, {Fault.TOO_LONG}),
        (["long", "silent"], 0, {Fault.TOO_LONG}),
        (["long", "endless"], 0, {Fault.TOO_LONG}),
        (["silent", "long"], 1, {Fault.TOO_LONG}),
        (["long", "crash step"], 0, {Fault.TOO_LONG}),
        (["long", "refuse"], 0, {Fault.TOO_LONG}),
    ],
)
def test_better_of_two_takes_is_served(harness: Recorder, kinds: list[str], served: int, faults: set[Fault]) -> None:
    harness.engine.script[TEXT] = list(kinds)
    take = harness.ask(TEXT)
    harness.turns(50)
    assert take.sound.result(0) == TEXT.encode()
    assert [seed for seed, _ in harness.served] == [[7, 7 + SEED_STEP][served]]
    assert set(take.faults) == faults
    assert harness.kept == ([] if faults else [TEXT])
    assert take.attempts == served + 1
    assert take.spare is None


def test_second_attempt_is_sampled_at_a_lower_temperature(harness: Recorder) -> None:
    harness.engine.script[TEXT] = ["long"]
    harness.ask(TEXT)
    harness.turns(50)
    usual = SynthesisParams().temperature
    assert [utterance.params.temperature for utterance in harness.engine.begun] == [
        usual,
        pytest.approx(COOLER * usual),
    ]
    assert {utterance.params.cfg_weight for utterance in harness.engine.begun} == {SynthesisParams().cfg_weight}


@pytest.mark.parametrize("running", [True, False])
def test_first_take_is_served_if_the_second_comes_too_late(harness: Recorder, running: bool) -> None:
    """Just before its deadline, while someone still waits for it: from the engine, or from the queue."""
    harness.engine.script[TEXT] = ["long"]
    take = harness.ask(TEXT, seconds=60)
    harness.turns(20, seconds=1.0)
    assert take.attempts == 2
    if running:
        harness.turns(5, seconds=1.0)
    harness.clock.now = take.deadline - 0.5
    assert not take.sound.done()
    harness.clock.now = take.deadline - 0.2
    harness.turns(1)
    assert take.sound.result(0) == TEXT.encode()
    assert [seed for seed, _ in harness.served] == [7]
    assert harness.kept == []
    assert harness.engine.held == []


def test_no_one_hears_the_first_take_if_no_one_waits(harness: Recorder) -> None:
    harness.engine.script[TEXT] = ["long"]
    take = harness.ask(TEXT)
    harness.turns(20)
    take.leave(take.waiters[0])
    harness.turns(1)
    assert isinstance(error_of(take), DeadlineExceeded)
    assert harness.served == []


def learn_pace(harness: Recorder) -> None:
    """Have the voice say enough for its model to be sure."""
    for number in range(40):
        harness.ask("la " * (number + 2), seconds=1e6)
        harness.turns(3 * (number + 4))
    harness.kept.clear()
    harness.served.clear()


def test_two_takes_that_agree_are_how_the_voice_says_the_text(harness: Recorder) -> None:
    """The model is wrong, and not they: the second one is kept, and its doubt is noted."""
    learn_pace(harness)
    text = "la " * 30
    harness.engine.script[text] = ["slow", "slow"]
    take = harness.ask(text)
    harness.turns(200)
    assert harness.kept == [text]
    assert (take.faults, take.verdict.doubts) == ((), (Fault.TOO_LONG,))
    assert take.attempts == 2


def test_the_same_seed_again_is_no_second_opinion(harness: Recorder) -> None:
    learn_pace(harness)
    text = "la " * 30
    harness.engine.script[text] = ["slow", "long", "slow", "long"]
    for _ in range(2):
        take = harness.ask(text)
        harness.turns(500)
        assert take.faults == (Fault.TOO_LONG,)
    assert harness.kept == []


class DamagingEspeak(EspeakEngine):
    """espeak-ng, with one take in ten damaged: noise after it, silence inside, or half of it gone.

    Of the second attempts, those of every thirtieth text are.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._seeds: dict[Utterance, int] = {}
        self.damaged: set[int] = set()
        """Seeds of the takes that were damaged."""

    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        utterance = super().begin(text, voice=voice, params=params, seed=seed, stream=stream)
        self._seeds[utterance] = seed
        return utterance

    def step(self) -> None:
        utterance = next(iter(self._running))
        super().step()
        seed = self._seeds.pop(utterance)
        if utterance.samples is not None and (seed % 10 == 0 or seed % 30 == (SEED_STEP % 30)):
            self.damaged.add(seed)
            utterance.samples = self._damage(utterance.samples, seed // 10 % 3)

    def _damage(self, samples: Sound, kind: int) -> Sound:
        middle = len(samples) // 2
        if kind == 0:
            return np.concatenate([samples, noise(1.0, self.sample_rate, 0.05)])
        if kind == 1:
            return np.insert(samples, middle, np.zeros(round(1.6 * self.sample_rate), np.float32))
        return samples[: middle // 2]


def counted(fault: Fault) -> float:
    return REGISTRY.get_sample_value("monica_take_faults_total", {"voice": "monica", "fault": fault}) or 0.0


def test_nothing_damaged_is_kept_of_a_book_with_one_take_in_ten_damaged(settings: Settings) -> None:
    engine = DamagingEspeak(settings)
    service = Service(settings, engine)
    service.start_and_wait()
    before = {fault: counted(fault) for fault in Fault}
    suspect = 0
    for number in range(60):
        request = SpeechRequest(f"Table {number + 2}, il reste une place pour ce tournoi.", seed=number)
        suspect += bool(service.announcer.announce(request).faults)
    kept = [Metadata.from_json(phrase.metadata_json) for phrase in service.catalogue.phrases()]
    service.close()
    assert len(engine.damaged) == 10
    assert suspect == 2
    assert engine.damaged.isdisjoint({metadata.drawn for metadata in kept})
    assert len(kept) == 60 - suspect
    assert [metadata.attempt for metadata in kept].count(2) >= len(engine.damaged) - 2 * suspect
    assert sum(counted(fault) - before[fault] for fault in Fault) >= len(engine.damaged)


def test_metadata_tells_of_the_second_attempt_and_of_doubts() -> None:
    fields = {
        "said": "a", "engine": "e", "fingerprint": "f", "voice": "v", "voice_digest": "d", "audio": "1",
        "seconds": 1.0, "made": 2.0,
    }  # fmt: skip
    plain = Metadata.from_fields(fields)
    assert (plain.attempt, plain.doubts) == (1, ())
    assert not {"attempt", "doubts"} & set(plain.to_fields())
    told = Metadata.from_fields(fields | {"attempt": 2, "doubts": ["too_long"]})
    assert Metadata.from_json(told.to_json()) == told
    for wrong in ({"attempt": "2"}, {"attempt": 0}, {"doubts": "too_long"}, {"doubts": [1]}):
        with pytest.raises(ValueError, match=next(iter(wrong)).rstrip("s")):
            Metadata.from_fields(fields | wrong)


def test_error_of_the_examination_ends_the_take_only(harness: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise FloatingPointError

    monkeypatch.setattr(harness.scheduler.settling._examiner, "examine", fail)
    take = harness.ask(TEXT)
    harness.turns(30)
    assert isinstance(error_of(take), MonicaError)
    monkeypatch.undo()
    assert harness.ask("next").sound.done() is False
    harness.turns(10)
    assert harness.kept == ["next"]
