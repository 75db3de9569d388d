"""A folder of recordings becomes voices, with a toy engine that clones."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monica.config import Settings
from monica.engine import MAX_LOADED_VOICES
from monica.errors import ConfigError, ModelUnavailable, SynthesisFailed, UnknownVoice
from monica.service import Service
from monica.speech import SpeechRequest
from monica.store.cache import Store
from monica.voices.recording import DEFAULT_VOICE, read_recording
from tests.conftest import started
from tests.support.engines import CloningToy, ToyEngine
from tests.support.recordings import UNUSABLE, record, recording

Start = Callable[..., Service]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "voices"
    folder.mkdir()
    return folder


@pytest.fixture
def cloning(tmp_path: Path, folder: Path) -> Settings:
    return Settings(engine="chatterbox", reference_audio=None, voices_dir=folder, cache_dir=tmp_path / "cache")


@pytest.fixture
def start(cloning: Settings) -> Iterator[Start]:
    """Start a service with the recordings of the folder. All services are closed at the end."""
    services = []

    def start(engine: ToyEngine, settings: Settings = cloning) -> Service:
        services.append(started(settings, engine))
        return services[-1]

    yield start
    for service in services:
        service.close()


def test_each_recording_is_a_voice(start: Start, folder: Path) -> None:
    record(folder, "zoe.wav", "Anna-2.flac", "luc_b.ogg", "9.mp3")
    (folder / "old").mkdir()
    (folder / ".DS_Store").write_bytes(b"\0")
    assert start(CloningToy()).announcer.voices() == ["9", "anna-2", "luc_b", "monica", "zoe"]


@pytest.mark.parametrize("what", sorted(UNUSABLE))
def test_an_unusable_recording_is_left_out_with_a_warning(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    record(folder, "anna.wav", "zoe.wav")
    (folder / "marc.wav").write_bytes(UNUSABLE[what])
    assert start(CloningToy()).announcer.voices() == ["anna", "monica", "zoe"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("voice marc: marc.wav is left out: ")


@pytest.mark.parametrize("name", ["Zoé", "a b", "a.b", "-a", "x" * 65, "a\nb"])
def test_a_file_whose_name_no_voice_may_have_is_left_out(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    record(folder, f"{name}.wav")
    assert start(CloningToy()).announcer.voices() == ["monica"]
    assert "is left out: a voice's name is 1 to 64 of" in caplog.text
    assert "\nb" not in caplog.text


def test_the_first_of_two_recordings_with_the_same_name_is_used(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(folder, "anna.flac", "Anna.wav")
    toy = CloningToy()
    assert start(toy).announcer.voices() == ["anna", "monica"]
    assert "voice anna: anna.flac is left out: Anna.wav has its name" in caplog.text


def test_monica_is_the_voice_of_reference_audio(start: Start, folder: Path, cloning: Settings) -> None:
    record(folder, "Monica.wav")
    with pytest.raises(ConfigError, match=r"^MONICA_VOICES_DIR holds Monica.wav, but monica is the voice of REFERENCE"):
        start(CloningToy())
    # The file of REFERENCE_AUDIO itself may be in that folder.
    assert start(CloningToy(), replace(cloning, reference_audio=folder / "Monica.wav")).announcer.voices() == ["monica"]


def test_takes_are_made_and_kept_by_voice(start: Start, folder: Path) -> None:
    record(folder, "anna.wav")
    toy = CloningToy()
    service = start(toy)
    toy.heard.clear()
    said = [service.announcer.announce(SpeechRequest("Tapis !", voice=voice, seed=1)) for voice in ("monica", "anna")]
    anna = read_recording(folder / "anna.wav", 120, "").digest
    assert toy.heard == [b"cloned built-in", f"cloned {anna}".encode()]
    assert said[0].key != said[1].key
    again = service.announcer.announce(SpeechRequest("Tapis !", voice="anna", seed=1))
    assert (again.source, again.wav) == ("hit", said[1].wav)
    kept = {card.voice for card in service.catalogue.phrases()}
    assert kept == {"monica", "anna"}


@pytest.mark.parametrize("name", ["nobody", "Anna", "", ".", "..", "../anna", "anna.wav", "a/b", "anna\0", "é" * 500])
def test_an_unknown_voice(start: Start, folder: Path, name: str) -> None:
    record(folder, "anna.wav")
    with pytest.raises(UnknownVoice, match=r"^There is no such voice. Known: anna, monica\.$"):
        start(CloningToy()).announcer.announce(SpeechRequest("Tapis !", voice=name))


ALIASES = (("alloy", "anna"), ("Nova", "monica"), ("onyx", "luc"), ("zoe", "anna"))


@pytest.fixture
def aliased(cloning: Settings, folder: Path) -> Settings:
    """Return settings with aliases: of a voice, of the default, of none, and one that a voice hides."""
    record(folder, "anna.wav", "zoe.wav")
    return replace(cloning, voice_aliases=ALIASES)


def test_alias_is_another_name_and_no_other_voice(start: Start, aliased: Settings) -> None:
    announcer = start(CloningToy(), aliased).announcer
    for alias, voice in (("alloy", "anna"), ("Nova", "monica")):
        said = announcer.announce(SpeechRequest("Tapis !", voice=alias))
        again = announcer.announce(SpeechRequest("Tapis !", voice=voice))
        assert (said.source, again.source, again.key) == ("miss", "hit", said.key)
    assert announcer.announce(SpeechRequest("Tapis !", voice="zoe")).source == "miss"
    assert announcer.voices() == ["anna", "monica", "zoe"]
    assert announcer.voice_aliases() == {"alloy": "anna", "Nova": "monica"}


def test_alias_is_not_what_a_phrase_is_kept_with(start: Start, aliased: Settings) -> None:
    service = start(CloningToy(), aliased)
    service.announcer.announce(SpeechRequest("Tapis !", voice="alloy"))
    assert [phrase.voice for phrase in service.catalogue.phrases()] == ["anna"]


def test_alias_of_an_unknown_voice(start: Start, aliased: Settings, caplog: pytest.LogCaptureFixture) -> None:
    announcer = start(CloningToy(), aliased).announcer
    assert [r.message for r in caplog.records if "ALIASES" in r.message] == [
        "MONICA_VOICE_ALIASES: onyx=luc: there is no voice called luc"
    ]
    says = "onyx stands for luc here (MONICA_VOICE_ALIASES), and there is no such voice. Known: Nova, alloy, anna, mo"
    with pytest.raises(UnknownVoice, match=re.escape(says)):
        announcer.announce(SpeechRequest("Tapis !", voice="onyx"))


@pytest.mark.parametrize(
    ("pair", "says"),
    [(("monica", "anna"), "is the voice of REFERENCE_AUDIO"), (("a", "Anna"), "a=Anna: a voice's name")],
)
def test_alias_that_can_never_work_stops_the_start(
    start: Start, cloning: Settings, pair: tuple[str, str], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        start(CloningToy(), replace(cloning, voice_aliases=(pair,)))


def test_a_voice_is_cloned_once(start: Start, folder: Path) -> None:
    record(folder, "anna.wav", "zoe.wav")
    first, second = CloningToy(), CloningToy()
    start(first).close()
    assert len(first.made) == 3
    service = start(second)
    service.announcer.announce(SpeechRequest("Tapis !", voice="anna"))
    assert second.made == []
    assert len(second.loaded_voices) == 2  # a voice that has not spoken is not in memory


def test_another_recording_is_another_voice(start: Start, folder: Path) -> None:
    record(folder, "anna.wav")
    request = SpeechRequest("Tapis !", voice="anna")
    before = start(CloningToy()).announcer.key_of(request)
    (folder / "anna.wav").write_bytes(recording(1.7))
    assert start(CloningToy()).announcer.key_of(request) != before


def test_kept_conditionals_that_are_damaged_are_made_again(start: Start, folder: Path, cloning: Settings) -> None:
    record(folder, "anna.wav")
    service = start(CloningToy())
    digest = service._loader.voices["anna"]
    service.close()
    store = Store("conditionals", cloning.cache_dir / "conditionals")
    store.put(digest, b"junk")
    store.close()
    toy = CloningToy()
    start(toy).announcer.announce(SpeechRequest("Tapis !", voice="anna"))
    assert [thread for _, thread in toy.made] == ["engine"]


def test_the_number_of_voices_in_memory_is_bounded(start: Start, folder: Path) -> None:
    names = [f"v{n:02}" for n in range(MAX_LOADED_VOICES + 4)]
    record(folder, *(f"{name}.wav" for name in names))
    toy = CloningToy()
    service = start(toy)
    made = len(toy.made)
    for name in (*names, *names):
        service.announcer.announce(SpeechRequest("Tapis !", voice=name, fresh=True))
        assert len(toy.loaded_voices) <= MAX_LOADED_VOICES
    assert made == len(toy.made) == len(names) + 1  # a voice that comes back is read from the store, not cloned
    assert len(set(toy.heard)) == len(names) + 1


def test_a_recording_that_breaks_the_model_is_left_out(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(folder, "anna.wav", "marc.wav", "zoe.wav")
    toy = CloningToy()
    toy.break_on[read_recording(folder / "anna.wav", 120, "").digest] = ConfigError("No voice can be cloned.")
    toy.break_on[read_recording(folder / "marc.wav", 120, "").digest] = RuntimeError("index out of range")
    assert start(toy).announcer.voices() == ["monica", "zoe"]
    assert "voice anna is left out: No voice can be cloned." in caplog.text
    assert "voice marc is left out: The engine failed on this recording." in caplog.text
    assert "index out of range" in caplog.text


def test_monica_does_not_start_without_the_default_voice(
    start: Start, folder: Path, cloning: Settings, tmp_path: Path
) -> None:
    record(tmp_path, "reference.wav")
    settings = replace(cloning, reference_audio=tmp_path / "reference.wav")
    toy = CloningToy()
    toy.break_on[read_recording(tmp_path / "reference.wav", 120, "").digest] = ConfigError("No voice can be cloned.")
    with pytest.raises(ConfigError, match=r"^REFERENCE_AUDIO: No voice can be cloned\.$"):
        start(toy, settings)


def test_a_recording_that_is_gone_when_its_conditionals_are_lost(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(folder, "anna.wav", "zoe.wav")
    service = start(CloningToy())
    for name in ("anna", "zoe"):
        service._conditionals.remove(service._loader.voices[name])
    (folder / "anna.wav").unlink()
    (folder / "zoe.wav").write_bytes(recording(1.7))
    with pytest.raises(SynthesisFailed, match=r"^The voice anna can no longer be cloned: This is not a recording"):
        service.announcer.announce(SpeechRequest("Tapis !", voice="anna"))
    with pytest.raises(SynthesisFailed, match=r"^The voice zoe can no longer be cloned: Its recording has changed"):
        service.announcer.announce(SpeechRequest("Tapis !", voice="zoe"))
    assert service.announcer.announce(SpeechRequest("Tapis !")).source == "miss"


def test_loading_again_reads_the_recordings_again(start: Start, folder: Path) -> None:
    """The model is unavailable at first, and a recording is added meanwhile."""
    toy = CloningToy()
    toy.fail_load_with = [ModelUnavailable("no network")]
    with pytest.raises(ModelUnavailable):
        start(toy)
    record(folder, "anna.wav")
    assert start(toy).announcer.voices() == ["anna", "monica"]


def test_the_embedded_engine_warns_that_it_has_one_voice(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(folder, "anna.wav")
    service = start(ToyEngine())
    assert "MONICA_VOICES_DIR: espeak clones no voices; none of those is known" in caplog.text
    assert service.announcer.voices() == [DEFAULT_VOICE]
    with pytest.raises(UnknownVoice):
        service.announcer.announce(SpeechRequest("Tapis !", voice="anna"))


def test_a_missing_folder_stops_the_start(tmp_path: Path, cloning: Settings) -> None:
    with pytest.raises(ConfigError, match=r"^MONICA_VOICES_DIR='.*nowhere': there is no such folder\.$"):
        Service(replace(cloning, voices_dir=tmp_path / "nowhere"))


def test_the_identity_file_lists_the_voices(start: Start, folder: Path, cloning: Settings) -> None:
    record(folder, "anna.wav")
    start(CloningToy())
    assert sorted(json.loads((cloning.cache_dir / "identity.json").read_bytes())["voices"]) == ["anna", "monica"]
