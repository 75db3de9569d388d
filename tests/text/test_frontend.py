"""How texts are prepared: over HTTP, on the command line, with the venue's lexicon, and cut into sentences."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from monica.config import Settings
from monica.errors import ConfigError, DeadlineExceeded, Overloaded
from monica.service import Service
from monica.speech import SpeechRequest
from monica.text.frontend import PAUSE_S, TextFrontend
from tests.conftest import Call, started
from tests.support.command import monica
from tests.support.engines import ToyEngine
from tests.support.server import run_to_failure

BLINDS = "Blinds 100/200 à 20h30, Rusmir a A♠ !"
SAID = "⟦blajnd⟧ cent, deux cents à vingt heures trente, Rusmir a as de pique!"
RESPELLED = "Blaïnedes cent, deux cents à vingt heures trente, Rusmir a as de pique!"
PAGE = " ".join(f"La phrase numéro {n} de la page est assez longue pour être dite toute seule." for n in range(12))


def test_v1_text(call: Call) -> None:
    answer = call("POST", "/v1/text", json={"text": BLINDS})
    assert answer.status == 200
    assert answer.json["text"] == SAID
    assert answer.json["sentences"] == [SAID]
    assert {"blinds", "clock", "cards", "lexicon"} <= set(answer.json["rules"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": "..."}, 400, "text_empty"),
        ({"text": "a" * 501}, 400, "text_too_long"),
        ({"text": 1}, 422, "request_invalid"),
        ({}, 422, "request_invalid"),
        ({"text": "a", "voice": "monica"}, 422, "request_invalid"),
        ([], 422, "json_invalid"),
    ],
)
def test_v1_text_bad_input(call: Call, body: object, status: int, code: str) -> None:
    answer = call("POST", "/v1/text", json=body)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


def test_command_line_prints_the_same_text(tmp_path: Path) -> None:
    for engine, said in (("espeak", SAID), ("chatterbox", RESPELLED)):
        done = monica("text", BLINDS, MONICA_CACHE_DIR=str(tmp_path), MONICA_ENGINE=engine)
        assert json.loads(done.stdout)["text"] == said


def test_command_line_needs_no_cache_folder(tmp_path: Path) -> None:
    """The command opens no store: it works if the cache cannot be written to, and creates no folder if it can."""
    done = monica("text", "x2", MONICA_CACHE_DIR="/proc/nope")
    assert (done.returncode, json.loads(done.stdout)["text"]) == (0, "fois deux"), done.stderr
    folder = tmp_path / "cache"
    assert monica("text", "x2", MONICA_CACHE_DIR=str(folder)).returncode == 0
    assert not folder.exists()


def test_frontend_needs_nothing_but_settings(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    prepared = TextFrontend(Settings(cache_dir=folder)).prepare(BLINDS)
    assert (prepared.text, prepared.sentences) == (SAID, (SAID,))
    assert not folder.exists()


def test_engine_that_speaks_decides_the_reading() -> None:
    chosen: list[str] = []
    frontend = TextFrontend(Settings(engine="chatterbox"), lambda: chosen[-1] if chosen else None)
    assert frontend.prepare(BLINDS).text == RESPELLED  # not chosen yet: the one that the settings name
    chosen.append("espeak")
    assert frontend.prepare(BLINDS).text == SAID
    assert frontend.prepare(BLINDS, "chatterbox").text == RESPELLED
    assert frontend.prepare(SAID).text == SAID
    assert TextFrontend(Settings(language="en")).prepare("the blind bet").text == "the blind bet"


def test_texts_that_are_said_alike_share_one_take(service: Service, toy: ToyEngine) -> None:
    service.announcer.announce(SpeechRequest("Il reste 21 joueurs !"))
    assert service.announcer.announce(SpeechRequest("Il reste vingt et un joueurs!!!")).source == "hit"
    assert toy.spoken == ["Il reste vingt et un joueurs!"]


def test_venue_lexicon_is_read_again_when_it_changes(settings: Settings, tmp_path: Path, toy: ToyEngine) -> None:
    lexicon = tmp_path / "noms.toml"
    lexicon.write_text('[names]\n"Rusmir" = "Roussmir"\n')
    service = started(replace(settings, lexicon=lexicon), toy)
    service.announcer.announce(SpeechRequest("Rusmir gagne."))
    service.announcer.announce(SpeechRequest("Ana gagne."))
    lexicon.write_text('[names]\n"Rusmir" = "Rousmire"\n')
    os.utime(lexicon, ns=(1, 1))
    assert service.announcer.announce(SpeechRequest("Rusmir gagne.")).source == "miss"
    # Said as before: the take is still right.
    assert service.announcer.announce(SpeechRequest("Ana gagne.")).source == "hit"
    assert toy.spoken == ["Roussmir gagne.", "Ana gagne.", "Rousmire gagne."]


def test_broken_lexicon_stops_the_start_and_names_the_line(tmp_path: Path) -> None:
    lexicon = tmp_path / "noms.toml"
    lexicon.write_text('[names]\n"Ana" = "Anna"\n"Rusmir" = 42\n')
    with pytest.raises(ConfigError, match="line 3"):
        Service(Settings(cache_dir=tmp_path / "cache", lexicon=lexicon))
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(tmp_path / "c"), "MONICA_LEXICON": str(lexicon)}
    log = run_to_failure(tmp_path, settings)
    assert "Monica cannot start: lexicon" in log
    assert "line 3" in log
    assert "Traceback" not in log


@pytest.fixture
def page_settings(settings: Settings) -> Settings:
    return replace(settings, max_text_length=5000)


def test_page_is_spoken_sentence_by_sentence(page_settings: Settings, toy: ToyEngine) -> None:
    service = started(page_settings, toy)
    page = service.announcer.announce(SpeechRequest(PAGE))
    assert page.source == "miss"
    assert len(toy.spoken) == 12
    assert service.announcer.announce(SpeechRequest(PAGE)).source == "hit"
    sentence = service.announcer.announce(SpeechRequest(PAGE.split(". ")[3] + "."))
    assert sentence.source == "hit"  # each sentence is kept by itself too
    samples, rate = soundfile.read(io.BytesIO(page.wav), dtype="int16")
    expected = sum(480 * len(text) for text in toy.spoken) + 11 * round(PAUSE_S * rate)
    assert len(samples) == expected
    first = 480 * len(toy.spoken[0])
    assert not np.any(samples[first : first + round(PAUSE_S * rate)])
    assert np.any(samples[first + round(PAUSE_S * rate) : first + round(PAUSE_S * rate) + 80])


def test_partly_known_page_renders_only_the_rest(page_settings: Settings, toy: ToyEngine) -> None:
    service = started(page_settings, toy)
    service.announcer.announce(SpeechRequest(PAGE))
    again = service.announcer.announce(
        SpeechRequest(PAGE + " Et une toute dernière phrase, que personne n'a encore entendue.")
    )
    assert again.source == "miss"
    assert len(toy.spoken) == 13


def test_unkept_page_keeps_none_of_its_sentences_either(page_settings: Settings, toy: ToyEngine) -> None:
    service = started(page_settings, toy)
    service.announcer.announce(SpeechRequest(PAGE, keep=False))
    assert service.announcer.announce(SpeechRequest(PAGE)).source == "miss"
    assert len(toy.spoken) == 24


def test_page_that_cannot_be_queued_leaves_nothing_behind(page_settings: Settings, toy: ToyEngine) -> None:
    service = started(replace(page_settings, queue_size=3), toy)
    with pytest.raises(Overloaded):
        service.announcer.announce(SpeechRequest(PAGE))
    service.announcer.announce(SpeechRequest("Suivante."))
    assert toy.spoken == ["Suivante."]  # a page is queued as a whole or not at all


def test_page_past_its_deadline_leaves_nothing_behind(page_settings: Settings, toy: ToyEngine) -> None:
    service = started(replace(page_settings, deadline_s=0.2), toy)
    toy.gate.clear()
    with pytest.raises(DeadlineExceeded):
        service.announcer.announce(SpeechRequest(PAGE))
    toy.gate.set()
    service.announcer.announce(SpeechRequest("Suivante."))
    assert len(toy.spoken) <= 2
