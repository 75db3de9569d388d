"""The clock's plan, its levels from a book, and what it does at the edges of time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monica.antenna.antenna import Antenna
from monica.antenna.cue import Cue, State
from monica.antenna.events import Events
from monica.antenna.journal import Journal
from monica.errors import InvalidRequest
from monica.tournament.clock import FACT, NoClock, TournamentClock
from monica.tournament.from_book import plan_from_book
from monica.tournament.plan import Level, Notice, Plan
from monica.tournament.timing import Counters, Timing
from monica.warming.book import PhraseBook
from tests.support.server import ROOT

LEVELS = (Level("1", 600, "Un."), Level("2", 600, "Deux."), Level("3", 50, "Trois."))
PLAN = Plan("p", LEVELS, (Notice(60, "Une min."),))
BOOK = """
[rosters]
levels = [{ small = 10, minutes = 20 }, { small = 20, minutes = 15 }]
players = ["Ana", "Bo"]
[[phrases]]
text = ["{player} joue {level.small}.", "Les blinds sont à {level.small}."]
player = "players"
level = "levels"
"""


class Evening:
    """An antenna and a clock with counters of their own, in a room that hears everything at once."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "antenna.sqlite3"
        self.steady, self.now = 100.0, 1_000_000.0
        self.begin()

    def begin(self) -> None:
        self.events, self.journal = Events(), Journal(self.file)
        self.antenna = Antenna(self.journal, self.events, lambda: self.steady, lambda: self.now)
        counters = Counters(lambda: self.steady, lambda: self.now, lambda: "boot")
        self.clock = TournamentClock(self.antenna, self.journal, self.events, counters)
        self.antenna.open()

    def room_opens(self) -> None:
        self.antenna.speaker_joined("salle", "La salle")
        self.antenna.report_ready("salle", True)

    def pass_time(self, seconds: float) -> None:
        self.steady += seconds
        self.now += seconds
        self.clock.tick()
        while (cue := self.antenna.next_to_make(0)) is not None:
            self.antenna.made(cue, "key", 4.0, 0.0)
        self.antenna.tick()

    def on_air(self) -> str | None:
        on_air = self.antenna.state()["on_air"]
        return on_air["text"] if on_air else None


@pytest.fixture
def evening(tmp_path: Path) -> Iterator[Evening]:
    evening = Evening(tmp_path)
    yield evening
    evening.journal.close()


def test_marks_are_in_order_and_no_warning_falls_before_its_level() -> None:
    assert [(mark.at_s, mark.text) for mark in PLAN.marks] == [
        (0, "Un."), (540, "Une min."), (600, "Deux."), (1140, "Une min."), (1200, "Trois."),
    ]  # fmt: skip


def test_the_levels_of_the_example_are_those_of_its_book() -> None:
    plan = plan_from_book(PhraseBook.read_file(ROOT / "examples" / "bourly-poker-tour.toml"))
    assert [level.name for level in plan.levels] == [str(number) for number in range(1, len(plan.levels) + 1)]
    assert plan.levels[0] == Level("1", 1200, "Niveau 1 : les blinds sont à 10/20.")
    assert plan.levels[5].text == "Niveau 6 : les blinds sont à 100/200, ante 200."
    texts = {phrase.text for phrase in PhraseBook.read_file(ROOT / "examples" / "bourly-poker-tour.toml").phrases()}
    assert {mark.text for mark in plan.marks} <= texts  # all that it says is a phrase of the book


def test_a_level_is_announced_by_the_first_text_that_needs_nothing_else() -> None:
    plan = plan_from_book(PhraseBook.parse(BOOK, "b"), warnings=[2.5], warning_text="Dans {minutes} min.")
    assert [level.text for level in plan.levels] == ["Les blinds sont à 10.", "Les blinds sont à 20."]
    assert plan.warnings == (Notice(150, "Dans 2,5 min."),)


@pytest.mark.parametrize(
    ("book", "rosters", "words"),
    [
        ('[[phrases]]\ntext = "Rien."', None, "no levels"),
        (BOOK, ["tables"], "no roster 'tables'"),
        (BOOK, ["players"], "No text announces"),
        (BOOK.replace("minutes = 15", "minutes = 0"), None, r"rosters.levels\[1\].minutes"),
        (BOOK.replace("minutes = 15", 'minutes = "bientôt"'), None, r"rosters.levels\[1\].minutes"),
        (BOOK.replace(', "Les blinds sont à {level.small}."', ""), None, "No text announces"),
    ],
)
def test_a_book_without_usable_levels_is_refused(book: str, rosters: list[str] | None, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        plan_from_book(PhraseBook.parse(book, "b"), rosters)


def test_a_clock_that_is_off_does_nothing_and_says_so(evening: Evening) -> None:
    evening.pass_time(3600)
    assert evening.clock.as_dict()["state"] == "off"
    for steer in (evening.clock.start, evening.clock.pause, lambda: evening.clock.shift(1)):
        with pytest.raises(NoClock):
            steer()
    assert evening.antenna.state()["queue"] == []


def test_announcements_are_made_before_their_time_and_begin_at_it(evening: Evening) -> None:
    evening.room_opens()
    evening.clock.load(PLAN)
    evening.clock.start()
    evening.pass_time(0)
    assert evening.on_air() == "Un."
    evening.pass_time(5)
    evening.antenna.skip()
    evening.pass_time(534.9)
    assert evening.on_air() is None
    assert [(cue["text"], cue["state"]) for cue in evening.antenna.state()["queue"]] == [
        ("Une min.", "ready"), ("Deux.", "ready"),
    ]  # fmt: skip
    evening.pass_time(0.1)
    assert evening.on_air() == "Une min."


def test_nothing_long_begins_just_before_but_an_urgent_cue_does(evening: Evening) -> None:
    evening.room_opens()
    evening.clock.load(PLAN)
    evening.clock.start()
    evening.pass_time(0)
    evening.antenna.skip()
    evening.pass_time(537)
    evening.antenna.add(Cue("Trop longue."))
    evening.pass_time(1)
    assert evening.on_air() is None
    evening.pass_time(2)
    assert evening.on_air() == "Une min."
    evening.antenna.skip()
    evening.pass_time(1)
    assert evening.on_air() == "Trop longue."


def test_what_no_one_could_hear_in_time_is_not_said_late(evening: Evening) -> None:
    """Even if the time of day, which says when other announcements expire, is set back."""
    evening.clock.load(PLAN)
    evening.clock.start()
    evening.pass_time(541)
    first = evening.antenna.history(1)[0]
    assert (first.text, first.code) == ("Un.", "expired")
    warning = evening.antenna.get(evening.antenna.state()["queue"][0]["id"])
    assert (warning.text, warning.hold) == ("Une min.", False)
    evening.now -= 86_400
    evening.pass_time(30)
    evening.room_opens()
    evening.pass_time(0)
    assert evening.on_air() is None
    assert (warning.state, warning.code) == (State.EXPIRED, "expired")


def test_a_person_may_take_an_announcement_out(evening: Evening) -> None:
    evening.room_opens()
    evening.clock.load(PLAN)
    evening.clock.start()
    evening.pass_time(0)
    evening.antenna.skip()
    evening.pass_time(530)
    evening.antenna.drop(evening.antenna.state()["queue"][0]["id"])
    evening.pass_time(20)
    assert evening.on_air() is None


def test_a_full_queue_stops_no_clock(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monica.antenna.rundown.MAX_CUES", 0)
    evening.clock.load(PLAN)
    evening.clock.start()
    evening.pass_time(700)
    assert evening.clock.as_dict()["level"] == 2


@pytest.mark.parametrize("written", ["{", "[]", "null", '{"plan": {}}', '{"plan": {"id": "x", "levels": []}}'])
def test_a_damaged_clock_is_off_and_told(evening: Evening, written: str, caplog: pytest.LogCaptureFixture) -> None:
    evening.journal.save_fact(FACT, written)
    evening.journal.close()
    evening.begin()
    evening.pass_time(1)
    assert evening.clock.as_dict()["state"] == "off"
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize(("set_by", "position"), [(0.0, 140.0), (-3600.0, 100.0), (60.0, 200.0)])
def test_after_a_boot_the_time_of_day_bridges_the_gap(set_by: float, position: float) -> None:
    noted = Timing.note(100.0, True, Counters(lambda: 9000.0, lambda: 5000.0, lambda: "a"))
    booted = Counters(lambda: 3.0, lambda: 5040.0 + set_by, lambda: "b")
    assert noted.taken_over(booted).position(3.0) == position


def test_after_a_restart_the_time_of_day_does_not_count() -> None:
    noted = Timing.note(100.0, True, Counters(lambda: 9000.0, lambda: 5000.0, lambda: "a"))
    restarted = Counters(lambda: 9040.0, lambda: -1e9, lambda: "a")
    assert noted.taken_over(restarted).position(9040.0) == 140.0


def test_everyone_hears_of_a_change_and_newcomers_of_the_state(evening: Evening) -> None:
    heard = list[bytes]()
    evening.antenna.listen(heard.append, None)
    evening.clock.load(PLAN)
    evening.clock.start()
    evening.pass_time(600)
    told = [event for event in heard if b"event: clock" in event]
    assert [b'"state": "paused"' in told[0], b'"state": "running"' in told[-1]] == [True, True]
    assert b'"level": 2' in told[-1]
    evening.antenna.listen(heard.append, None)
    assert b'"clock": {"state": "running"' in heard[-1]
