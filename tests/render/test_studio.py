"""A studio without Ray: its keys and sounds are a server's, and what is wrong is told."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from monica import __version__
from monica.config import Settings
from monica.errors import ConfigError
from monica.render.folders import lock_folder
from monica.render.shelf import Shelf
from monica.render.studio import FOLDER, Opened, Rendered, Studio
from monica.service import Service
from monica.store.hearing import Verdict
from monica.warming.book import Phrase
from monica.warming.job import Failure
from monica.warming.listening import Listening
from monica.warming.making import request_for
from tests.support.ears import DamagingToy, FakeEars, is_damaged
from tests.support.engines import ToyEngine


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path, reference_audio=None, max_text_length=300)


@pytest.fixture
def studio(settings: Settings) -> Iterator[Studio]:
    studio = Studio(settings, __version__, False, ToyEngine())
    opened = studio.open()
    assert isinstance(opened, Opened), opened
    yield studio
    studio.close()


def test_it_makes_what_a_server_makes(studio: Studio, service: Service) -> None:
    page = "Une phrase. " * 24
    phrases = [Phrase("Bonjour."), Phrase("Bonjour.", seed=7), Phrase(page)]
    for phrase, key in zip(phrases, studio.keys(phrases), strict=True):
        made = studio.make(phrase)
        assert isinstance(made, Rendered)
        expected = service.announcer.announce(request_for(phrase))
        assert made.phrase.key == key == expected.key
        assert made.sound == expected.wav


def test_it_listens_and_tells_its_verdict(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ears = FakeEars()
    hearing = partial(Listening, make_ears=lambda _: ears, check=lambda _: None)
    monkeypatch.setattr("monica.service.Listening", hearing)
    studio = Studio(settings, __version__, None, DamagingToy(lambda number: number == 1))
    opened = studio.open()
    assert isinstance(opened, Opened), opened
    assert opened.listens
    made = studio.make(Phrase("La table finale va commencer."))
    studio.close()
    assert isinstance(made, Rendered)
    assert made.remade
    assert made.phrase.metadata.heard is not None
    assert made.phrase.metadata.heard.verdict is Verdict.GOOD
    assert not is_damaged(made.sound)


def test_what_cannot_be_said_is_told(studio: Studio) -> None:
    for phrase, code in ((Phrase("x" * 301), "text_too_long"), (Phrase("Bonjour.", voice="nobody"), "voice_unknown")):
        (key,), made = studio.keys([phrase]), studio.make(phrase)
        assert isinstance(key, Failure)
        assert isinstance(made, Failure)
        assert key.code == made.code == code


def test_an_unexpected_error_fails_a_phrase_and_no_more(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monica.render.studio.make_phrase", None)
    made = studio.make(Phrase("Bonjour."))
    assert isinstance(made, Failure)
    assert made.code == "internal"


def test_another_version_is_refused(settings: Settings) -> None:
    assert Studio(settings, "0.0.1").open() == f"Monica is 0.0.1 here, and {__version__} there."


def test_a_wrong_setting_is_told(tmp_path: Path) -> None:
    studio = Studio(Settings(cache_dir=tmp_path, voices_dir=tmp_path / "none"), __version__)
    told = studio.open()
    studio.close()
    assert isinstance(told, str)
    assert "MONICA_VOICES_DIR" in told


def test_studios_of_one_machine_have_folders_of_their_own(studio: Studio, settings: Settings) -> None:
    other = Studio(settings, __version__, False, ToyEngine())
    assert isinstance(other.open(), Opened)
    other.close()
    again = Studio(settings, __version__, False, ToyEngine())
    assert isinstance(again.open(), Opened)
    again.close()
    assert sorted(path.name for path in (settings.cache_dir / FOLDER).iterdir()) == ["0", "1"]


def test_two_renders_do_not_write_to_one_folder(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path)
    assert lock is not None
    with pytest.raises(ConfigError, match="Another render writes to"):
        Shelf(tmp_path, 1)
    lock.close()
    Shelf(tmp_path, 1).close()


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be used"):
        Shelf(tmp_path / "file", 1)
