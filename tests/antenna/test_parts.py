"""The parts of the antenna one by one: journal, events, chimes, and the sound that the room hears."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from monica.antenna.antenna import Antenna
from monica.antenna.chimes import ChimeBox, UnknownChime
from monica.antenna.cue import Chimes, Cue, Priority, State
from monica.antenna.events import MAX_REMEMBERED, Events
from monica.antenna.journal import MAX_HISTORY, Journal
from monica.antenna.on_air import BEGIN_S
from monica.antenna.programme import AFTER_CHIME_S, BETWEEN_S, compose
from monica.antenna.rundown import MAX_CUES, PATIENCE_S, QueueFull
from monica.audio.chime import BUILT_IN, make_chime
from monica.audio.finish import Finisher
from monica.audio.level import integrated_loudness
from monica.audio.wav import encode_wav, wav_duration, wav_pcm
from tests.support.sounds import sine

RATE = 22_050
Open = Callable[[Path], Journal]
FINISHER = Finisher(loudness_lufs=-16.0, peak_dbtp=-1.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "antenna.sqlite3"


@pytest.fixture
def open_journal() -> Iterator[Callable[[Path], Journal]]:
    """Return a function that opens a journal, which is closed at the end of the test."""
    opened: list[Journal] = []

    def open_one(file: Path) -> Journal:
        opened.append(Journal(file))
        return opened[-1]

    yield open_one
    for journal in opened:
        journal.close()


def test_a_cue_is_read_back_as_it_was(file: Path, open_journal: Open) -> None:
    cue = Cue("« Été »\n\0", priority=Priority.URGENT, chimes=Chimes("gong"), at=1.5, state=State.READY, seed=7)
    journal = open_journal(file)
    journal.open()
    journal.save(cue)
    journal.close()
    (found,) = open_journal(file).open()
    assert found.as_dict() == cue.as_dict()


def test_the_history_is_bounded_and_the_queue_is_not(file: Path, open_journal: Open) -> None:
    journal = open_journal(file)
    journal.open()
    waiting = Cue("J'attends.")
    journal.save(waiting)
    for number in range(MAX_HISTORY + 20):
        journal.save(Cue(str(number), state=State.DONE, ended=float(number)))
    journal.close()
    cues = open_journal(file).open()
    assert [cue.text for cue in cues if cue.state.waits] == ["J'attends."]
    ended = [cue.text for cue in cues if cue.state.has_ended]
    assert ended == [str(number) for number in range(20, MAX_HISTORY + 20)]


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_moved_aside(
    file: Path, content: bytes, caplog: pytest.LogCaptureFixture, open_journal: Open
) -> None:
    file.write_bytes(content)
    journal = open_journal(file)
    assert journal.open() == []
    assert journal.save(Cue("Encore là."))
    journal.close()
    assert [cue.text for cue in open_journal(file).open()] == ["Encore là."]
    assert ("moved aside" in caplog.text) is bool(content)
    assert file.with_name("antenna.sqlite3.corrupt").exists() is bool(content)


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"text": 1, "state": "asleep"}', "{", '{"unknown": 1}'])
def test_a_damaged_row_is_left_out_and_told(
    file: Path, text: str, caplog: pytest.LogCaptureFixture, open_journal: Open
) -> None:
    journal = open_journal(file)
    journal.open()
    journal.save(Cue("Entière."))
    journal.close()
    with sqlite3.connect(file) as database:
        database.execute("INSERT INTO cues VALUES ('x', NULL, ?)", (text,))
    database.close()
    assert [cue.text for cue in open_journal(file).open()] == ["Entière."]
    assert "cannot be read" in caplog.text


def test_a_disk_that_cannot_be_written_leaves_the_queue_in_memory(file: Path, open_journal: Open) -> None:
    journal = open_journal(file)
    antenna = Antenna(journal, Events())
    antenna.open()
    journal.close()  # every write fails from here on
    cue = antenna.add(Cue("Quand même."))
    assert antenna.get(cue.id) is cue
    assert antenna.unwritable is not None


def test_what_a_full_disk_prevented_is_written_once_there_is_room(tmp_path: Path, open_journal: Open) -> None:
    """Also if the disk was full at the start, when there was no file yet."""
    folder = tmp_path / "cache"
    folder.write_text("in the way, as a full disk is")
    journal = open_journal(folder / "antenna.sqlite3")
    clock = [10.0]
    antenna = Antenna(journal, Events(), lambda: clock[0])
    antenna.open()
    antenna.hold()
    cue = antenna.add(Cue("Sans place."))
    antenna.tick()
    assert antenna.unwritable is not None
    folder.unlink()
    clock[0] += 10
    antenna.tick()
    assert antenna.unwritable is None
    journal.close()
    again = open_journal(folder / "antenna.sqlite3")
    assert ([found.id for found in again.open()], again.fact("held")) == ([cue.id], "1")
    assert not list(folder.glob("*.corrupt"))


def make_next(antenna: Antenna) -> None:
    cue = antenna.next_to_make(0)
    assert cue is not None
    antenna.made(cue, "key", 2.0, 0.0)
    antenna.tick()


def test_a_speaker_that_begins_too_late_is_not_given_up(file: Path, open_journal: Open) -> None:
    """It may be the only one, on a network that stood still for ten seconds: the room would stay silent."""
    clock = [0.0]
    antenna = Antenna(open_journal(file), Events(), lambda: clock[0])
    antenna.open()
    antenna.speaker_joined("salle", "La salle")
    antenna.report_ready("salle", True)
    cue = antenna.add(Cue("En retard."))
    make_next(antenna)
    clock[0] += BEGIN_S
    antenna.tick()
    assert (cue.state, antenna.state()["speakers"][0]["may_play"]) == (State.QUEUED, False)
    assert not antenna.report_playing("salle", cue.id)
    make_next(antenna)
    assert cue.state is State.ON_AIR
    assert antenna.report_playing("salle", cue.id)


def test_two_processes_never_have_one_queue(file: Path, open_journal: Open) -> None:
    """The second one says so, and takes the queue over when the first has gone."""
    clock = [0.0]
    first = open_journal(file)
    antenna = Antenna(first, Events())
    antenna.open()
    cue = antenna.add(Cue("Une seule fois."))
    second = Antenna(open_journal(file), Events(), lambda: clock[0])
    second.open()
    assert second.state()["queue"] == []
    assert "another Monica" in (second.unwritable or "")
    own = second.add(Cue("En mémoire."))
    first.close()
    clock[0] += 10
    second.tick()
    assert second.unwritable is None
    assert {each["id"] for each in second.state()["queue"]} == {cue.id, own.id}


def test_a_listener_gets_the_state_then_each_event_in_order() -> None:
    events, heard = Events(), list[bytes]()
    events.publish("early", {})
    leave = events.listen(heard.append, lambda: {"all": 1})
    events.publish("announcement", {"text": "À\nvous"})
    leave()
    events.publish("late", {})
    state, announcement = heard
    assert state.split(b"\n")[1] == b"event: state"
    kind, data = announcement.decode().split("\n")[1:3]
    assert (kind, json.loads(data.removeprefix("data: "))) == ("event: announcement", {"text": "À\nvous"})


def test_a_listener_who_comes_back_gets_what_was_missed() -> None:
    events, heard = Events(), list[bytes]()
    first = events.publish("one", {})
    events.publish("two", {})
    events.publish("three", {})
    events.listen(heard.append, dict, first.id)
    assert [part.split("\n")[1] for part in b"".join(heard).decode().split("\n\n") if part] == [
        "event: two",
        "event: three",
    ]


@pytest.mark.parametrize("last_id", [None, "", "other-1", "-1", "x", "{run}-0", "{run}-99999"])
def test_a_listener_who_missed_too_much_gets_the_state(last_id: str | None) -> None:
    events, heard = Events(), list[bytes]()
    run = events.publish("first", {}).id.partition("-")[0]
    for _ in range(MAX_REMEMBERED):
        events.publish("more", {})
    events.listen(heard.append, dict, last_id and last_id.format(run=run))
    assert b"event: state" in heard[0]


def test_the_queue_is_bounded(file: Path, open_journal: Open) -> None:
    antenna = Antenna(open_journal(file), Events())
    for number in range(MAX_CUES):
        antenna.add(Cue(str(number)))
    with pytest.raises(QueueFull):
        antenna.add(Cue("De trop."))


def test_a_slow_cue_lets_ready_ones_pass_after_a_while(file: Path, open_journal: Open) -> None:
    clock = [0.0]
    antenna = Antenna(open_journal(file), Events(), lambda: clock[0], lambda: clock[0])
    antenna.speaker_joined("salle", "La salle")
    antenna.report_ready("salle", True)
    slow, quick = antenna.add(Cue("Lente.")), antenna.add(Cue("Rapide."))
    assert [antenna.next_to_make(0), antenna.next_to_make(0)] == [slow, quick]
    antenna.made(quick, None, 1.0, 0.0)
    antenna.tick()
    assert quick.state is State.READY
    clock[0] += PATIENCE_S
    antenna.tick()
    assert (slow.state, quick.state) == (State.MAKING, State.ON_AIR)


def test_a_cue_for_later_is_not_made_before_one_for_now(file: Path, open_journal: Open) -> None:
    antenna = Antenna(open_journal(file), Events(), lambda: 0.0, lambda: 0.0)
    for hour in range(1, 10):
        antenna.add(Cue("Plus tard.", priority=Priority.URGENT, at=3600.0 * hour))
    now = antenna.add(Cue("Maintenant.", priority=Priority.AMBIENT))
    assert antenna.next_to_make(0) is now


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_chimes_are_as_loud_as_sentences_and_do_not_click(name: str, rate: int) -> None:
    chime = make_chime(name, rate)
    assert np.abs(chime).max() <= 1
    assert abs(chime[0]) < 0.01
    assert abs(chime[-1]) < 0.01
    finished = ChimeBox(None, FINISHER).sound(name, rate).astype(np.float32) / np.float32(32768)
    assert integrated_loudness(finished, rate) == pytest.approx(-16, abs=0.6)


def test_a_programme_is_chime_sentence_again_chime() -> None:
    sentence = encode_wav(sine(440, 1.0, RATE), RATE)
    box = ChimeBox(None, FINISHER)
    cue = Cue("Bonjour", chimes=Chimes("gong", "ding-dong"), repeat=2)
    programme = compose(cue, sentence, box)
    before, after = (len(box.sound(name, RATE)) / RATE for name in ("gong", "ding-dong"))
    assert programme.lead_s == pytest.approx(before + AFTER_CHIME_S, abs=1e-3)
    expected = before + after + 2 * AFTER_CHIME_S + 2 * wav_duration(sentence) + BETWEEN_S
    assert programme.duration_s == pytest.approx(expected, abs=1e-3)
    pcm, said = wav_pcm(programme.wav), wav_pcm(sentence)
    first = 2 * round(programme.lead_s * RATE)
    assert pcm[first : first + len(said)] == said
    assert pcm.count(said) == 2


def test_a_programme_without_anything_is_the_sentence_itself() -> None:
    sentence = encode_wav(sine(440, 0.5, RATE), RATE)
    assert compose(Cue("Bonjour"), sentence, ChimeBox(None, FINISHER)).wav == sentence


def test_the_venue_has_chimes_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "bourly.wav").write_bytes(encode_wav(make_chime("gong", 44_100), 44_100))
    (tmp_path / "liste.txt").write_text("no sound")
    box = ChimeBox(tmp_path, FINISHER)
    assert "bourly" in box.names()
    assert "liste" not in box.names()
    assert len(box.sound("bourly", RATE)) == pytest.approx(1.3 * RATE, abs=200)


def test_a_chime_that_is_no_sound_is_named(tmp_path: Path) -> None:
    (tmp_path / "cassé.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(UnknownChime, match="cassé"):
        ChimeBox(tmp_path, FINISHER).sound("cassé", RATE)
    with pytest.raises(UnknownChime, match="gong"):
        ChimeBox(tmp_path / "nowhere", FINISHER).check("tambour")
