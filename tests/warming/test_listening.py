"""Jobs that listen: what is made again, what is marked, what is not kept, and what a restart finds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from monica.config import Settings
from monica.listening.listener import ListeningFailed
from monica.listening.model import ListeningUnavailable
from monica.service import Service
from monica.store import review
from monica.store.hearing import Verdict
from monica.store.phrase import KeptPhrase, WordsUnknown
from monica.store.recipe import Recipe
from monica.synthesis.durations import DurationModels
from monica.synthesis.take import block
from monica.text.frontend import PAUSE_S
from monica.warming.job import State
from monica.warming.listening import Listening
from monica.warming.remake import remake
from monica.warming.warmer import Warmer
from tests.conftest import started
from tests.support.ears import DamagingToy, FakeEars, is_damaged, spread
from tests.support.jobs import PAIRS, counts, ended, texts

MANY = tuple(f"{text[:-1]} au tour {number}." for text in PAIRS for number in ("deux", "trois", "cinq", "six"))[:300]
PAGE = " ".join(f"La table numéro {number} attend encore un joueur ce soir." for number in ("deux", "six", "sept") * 3)


@pytest.fixture
def ears() -> FakeEars:
    return FakeEars()


@pytest.fixture
def damaging(request: pytest.FixtureRequest) -> DamagingToy:
    return DamagingToy(*getattr(request, "param", ()))


@pytest.fixture
def service(settings: Settings, damaging: DamagingToy) -> Iterator[Service]:
    service = started(settings, damaging)
    yield service
    service.close()


class Pace(DurationModels):
    """Says how many spreads the duration of each take is off: the next of `off`, and then none."""

    def __init__(self) -> None:
        super().__init__()
        self.off: list[float] = []

    def spreads(self, recipe: Recipe, wav: bytes) -> float:
        return self.off.pop(0) if self.off else 0.0


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
def warmer(service: Service, ears: FakeEars, pace: Pace) -> Iterator[Warmer]:
    listening = Listening(
        service.settings, service.announcer, service.catalogue, service.side_takes, pace,
        lambda _: ears, lambda _: None,
    )  # fmt: skip
    warmer = Warmer(service.settings, service.announcer, service.frontend, service.catalogue, service.health, listening)
    warmer.start()
    yield warmer
    warmer.close()


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"monica_{name}_total", {"voice": "monica", **labels}) or 0.0


def verdict_of(phrase: KeptPhrase) -> Verdict | None:
    return phrase.hearing.verdict if phrase.hearing else None


def test_no_damaged_phrase_of_a_book_is_kept_unmarked(
    warmer: Warmer, service: Service, damaging: DamagingToy, ears: FakeEars
) -> None:
    job = ended(warmer.submit(texts(*MANY), listen=True))
    assert (job.state, counts(job), job.heard) == (State.DONE, (0, 300, 0, 0), 300)
    assert damaging.damaged >= 30
    assert job.remade >= 20
    phrases = service.catalogue.phrases()
    assert len(phrases) == 300
    for phrase in phrases:
        damaged = is_damaged(service.catalogue.read_sound(phrase))
        assert verdict_of(phrase) is (Verdict.WRONG if damaged else Verdict.GOOD)
    assert len(ears.heard) == len(damaging.spoken) >= 300 + job.remade


def test_what_was_heard_is_not_heard_again(warmer: Warmer, ears: FakeEars) -> None:
    ended(warmer.submit(texts(*PAIRS[:5]), listen=True))
    heard = len(ears.heard)
    again = ended(warmer.submit(texts(*PAIRS[:5]), listen=True))
    assert (counts(again), again.heard, len(ears.heard)) == ((5, 0, 0, 0), 5, heard)


def test_phrases_that_were_made_unheard_are_listened_to(warmer: Warmer, ears: FakeEars) -> None:
    assert ended(warmer.submit(texts(*PAIRS[:5]), listen=False)).heard == 0
    assert ears.heard == []
    job = ended(warmer.submit(texts(*PAIRS[:5]), listen=True))
    assert (job.heard, job.cached + job.made) == (5, 5)


@pytest.mark.parametrize("damaging", [(lambda number: False,)], indirect=True)
@pytest.mark.parametrize(
    ("off", "takes", "verdict", "fault"),
    [
        ([1.9], 1, Verdict.GOOD, None),
        ([2.6, 0.1], 2, Verdict.GOOD, None),
        ([2.1, 2.2], 2, Verdict.DOUBTFUL, "too_long"),
        ([-2.6, -2.7], 2, Verdict.DOUBTFUL, "too_short"),  # so it is how the voice says this text
    ],
)
def test_the_duration_counts_too(
    warmer: Warmer,
    service: Service,
    damaging: DamagingToy,
    pace: Pace,
    off: list[float],
    takes: int,
    verdict: Verdict,
    fault: str | None,
) -> None:
    pace.off = off
    ended(warmer.submit(texts("Pablo perd la main."), listen=True))
    (phrase,) = service.catalogue.phrases()
    assert phrase.hearing is not None
    assert (len(damaging.spoken), phrase.hearing.verdict, phrase.hearing.fault) == (takes, verdict, fault)


@pytest.mark.parametrize("damaging", [(lambda number: False,)], indirect=True)
def test_a_word_that_is_always_misheard_is_doubtful_after_two_takes(
    warmer: Warmer, service: Service, ears: FakeEars, damaging: DamagingToy
) -> None:
    ears.mishear = lambda text: text.replace("Rusmir", "Bernard")
    heard_before, remade_before = metric("takes_heard", verdict="doubtful"), metric("takes_remade_by_listening")
    job = ended(warmer.submit(texts("La main est pour Rusmir.", "Pablo perd la main."), listen=True))
    assert metric("takes_heard", verdict="doubtful") - heard_before == 2
    assert metric("takes_remade_by_listening") - remade_before == 1
    assert (counts(job), job.heard, job.doubtful, job.remade) == ((0, 2, 0, 0), 2, 1, 1)
    assert len(damaging.spoken) == 3
    (doubtful,) = [phrase for phrase in service.catalogue.phrases() if verdict_of(phrase) is Verdict.DOUBTFUL]
    heard = doubtful.metadata().heard
    assert heard is not None
    assert [(each.said, each.heard, each.kind) for each in heard.differences] == [("Rusmir", "Bernard", "name")]
    takes = service.side_takes.all()
    assert [take.number for take in takes[doubtful.key]] == [1, 2]
    assert list(takes) == [doubtful.key]


@pytest.mark.parametrize("damaging", [(lambda number: False,)], indirect=True)
def test_a_person_keeps_one_of_the_takes(warmer: Warmer, service: Service, ears: FakeEars) -> None:
    ears.mishear = lambda text: text.replace("Rusmir", "Bernard")
    ended(warmer.submit(texts("La main est pour Rusmir."), listen=True))
    (phrase,) = service.catalogue.phrases()
    other = next(take for take in service.side_takes.all()[phrase.key] if take.sha256 != phrase.sha256)
    (doubtful,) = review.find_doubtful(service.catalogue, service.side_takes)
    review.keep(service.catalogue, service.side_takes, doubtful, other.number)
    (chosen,) = service.catalogue.phrases()
    assert (chosen.sha256, verdict_of(chosen)) == (other.sha256, Verdict.ACCEPTED)
    assert service.side_takes.all() == {}
    again = ended(warmer.submit(texts("La main est pour Rusmir."), listen=True))
    assert (again.doubtful, again.cached) == (0, 1)


def test_of_babble_nothing_is_kept_and_that_is_told(warmer: Warmer, service: Service, ears: FakeEars) -> None:
    ears.mishear = lambda text: "Zut alors"
    job = ended(warmer.submit(texts(*PAIRS[:4]), listen=True))
    assert (job.state, counts(job)) == (State.DONE, (0, 0, 4, 0))
    assert {failure.code for failure in job.failures} == {"take_unintelligible"}
    assert service.catalogue.phrases() == []
    assert {len(takes) for takes in service.side_takes.all().values()} == {3}


def test_a_phrase_that_cannot_be_heard_stays_and_is_heard_another_time(warmer: Warmer, ears: FakeEars) -> None:
    ears.fail_with = ListeningFailed("The listener is gone.")
    job = ended(warmer.submit(texts(*PAIRS[:3]), listen=True))
    assert (job.failed, {failure.code for failure in job.failures}) == (3, {"listening_failed"})
    ears.fail_with = None
    again = ended(warmer.submit(texts(*PAIRS[:3]), listen=True))
    assert (again.heard, again.failed) == (3, 0)


@pytest.mark.parametrize("damaging", [(lambda number: number == 2,)], indirect=True)
def test_a_page_is_heard_sentence_by_sentence(warmer: Warmer, service: Service, ears: FakeEars) -> None:
    job = ended(warmer.submit(texts(PAGE), listen=True))
    assert (counts(job), job.heard, job.remade) == ((0, 1, 0, 0), 1, 1)
    assert not any(is_damaged(service.catalogue.read_sound(phrase)) for phrase in service.catalogue.phrases())
    assert {verdict_of(phrase) for phrase in service.catalogue.phrases()} == {Verdict.GOOD}
    assert len(ears.heard) == len(set(service.announcer.sentences(PAGE))) + 1


@pytest.mark.parametrize("damaging", [(lambda number: number == 2,)], indirect=True)
def test_the_times_of_words_are_kept_with_a_phrase_and_with_a_page(warmer: Warmer, service: Service) -> None:
    """An ear hears every word of a sentence as long as the others; between two sentences of a page is a pause."""
    ended(warmer.submit(texts(PAIRS[0], PAGE), listen=True))
    kept = {phrase.text: phrase for phrase in service.catalogue.phrases()}
    assert kept[PAIRS[0]].words() == spread(PAIRS[0], kept[PAIRS[0]].metadata().seconds)
    words = kept[PAGE].words()
    assert [word.text for word in words] == PAGE.split()
    begin = 0.0
    for number, sentence in enumerate(service.announcer.sentences(PAGE)):
        seconds = kept[sentence].metadata().seconds
        part = words[10 * number : 10 * number + 10]
        assert part == tuple(word.later(begin) for word in spread(sentence, seconds))
        begin += seconds + PAUSE_S
    assert begin - PAUSE_S == pytest.approx(kept[PAGE].metadata().seconds)


@pytest.mark.parametrize("damaging", [(lambda number: False,)], indirect=True)
def test_a_page_of_other_takes_has_no_times(warmer: Warmer, service: Service) -> None:
    ended(warmer.submit(texts(PAGE), listen=False))
    (first,) = [each for each in service.catalogue.phrases() if each.text == service.announcer.sentences(PAGE)[0]]
    remake(service.announcer, service.catalogue, first, block)
    ended(warmer.submit(texts(PAGE), listen=True))
    (page,) = [phrase for phrase in service.catalogue.phrases() if phrase.text == PAGE]
    assert verdict_of(page) is Verdict.GOOD
    with pytest.raises(WordsUnknown, match="not for its words"):
        page.words()


def test_listening_that_cannot_be_is_refused_if_asked_for(service: Service) -> None:
    """No model has the name that these settings give."""
    listening = service.listening
    assert listening.decide(None) is False
    assert listening.decide(False) is False
    with pytest.raises(ListeningUnavailable):
        listening.decide(True)
