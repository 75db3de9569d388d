"""Several voices in the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.chatterbox import ChatterboxEngine
from monica.errors import UnknownVoice
from monica.store.cache import Store
from monica.voices.recording import BadRecording, read_recording
from monica.voices.registry import VoiceRegistry
from tests.support.recordings import record, recording

from .conftest import TEXT

pytestmark = pytest.mark.usefixtures("two_steps")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store("conditionals", tmp_path / "conditionals")
    yield store
    store.close()


@pytest.fixture
def visited(engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch) -> ChatterboxEngine:
    """The engine without any voices. Its own ones are restored at the end."""
    monkeypatch.setattr(engine, "_voices", {})
    monkeypatch.setattr(engine, "bring_voice", engine.bring_voice)
    return engine


def test_voices_of_a_folder(
    tmp_path: Path, settings: Settings, store: Store, visited: ChatterboxEngine, short: SynthesisParams,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    folder = tmp_path / "voices"
    record(folder, "anna.wav", "zoe.flac")
    (folder / "marc.wav").write_bytes(b"not a recording")
    wanted = replace(settings, reference_audio=None, voices_dir=folder, reference_duration_s=1.5)
    gallery = VoiceRegistry(wanted, store)

    def speak_as(name: str) -> NDArray[np.float32]:
        return speak(visited, TEXT, voice=gallery.digests[name], params=short, seed=0)

    gallery.read_recordings(visited)
    gallery.make_speakable(visited, lambda: None)
    assert sorted(gallery.digests) == ["anna", "monica", "zoe"]
    assert list(visited._voices) == [gallery.digests["monica"]]
    takes = {name: speak_as(name) for name in gallery.digests}
    for one, other in (("anna", "zoe"), ("zoe", "monica"), ("monica", "anna")):
        assert not np.array_equal(takes[one], takes[other])

    # Only a limited number is in memory. A voice that is loaded again gives the same take.
    monkeypatch.setattr("monica.engine.chatterbox.engine.MAX_LOADED_VOICES", 2)
    visited._voices.clear()
    caplog.clear()
    for name in ("monica", "anna", "zoe", "monica", "anna"):
        np.testing.assert_array_equal(speak_as(name), takes[name])
        assert list(visited._voices)[-1] == gallery.digests[name]
    assert len(visited._voices) == 2
    assert "conditionals: made" not in caplog.text

    # Invalid stored conditionals are made again.
    visited._voices.clear()
    store.put(gallery.digests["anna"], b"junk")
    np.testing.assert_array_equal(speak_as("anna"), takes["anna"])
    assert "the kept ones cannot be used" in caplog.text

    # A voice that is added while another one speaks, cloned by the engine in use.
    (tmp_path / "luc.wav").write_bytes(recording(1.45))
    reference = read_recording(tmp_path / "luc.wav", 1.5, "voice luc")
    luc = gallery.new_voice("luc", tmp_path / "luc.wav", reference.digest)
    utterance = visited.begin(TEXT, voice=gallery.digests["zoe"], params=short, seed=0)
    visited.step()
    gallery.clone_voice(luc, reference, lambda work: work())
    gallery.register(luc)
    while not utterance.done:
        visited.step()
    visited.drop(utterance)
    np.testing.assert_array_equal(utterance.samples, takes["zoe"])
    assert not np.array_equal(speak_as("luc"), takes["monica"])

    gallery.unregister(luc)
    visited._voices.clear()
    with pytest.raises(UnknownVoice, match="removed"):
        visited.begin(TEXT, voice=luc.digest, params=short, seed=0)


def test_a_recording_the_model_cannot_use_is_refused(
    tmp_path: Path, settings: Settings, store: Store, visited: ChatterboxEngine
) -> None:
    gallery = VoiceRegistry(replace(settings, reference_audio=None), store)
    gallery.read_recordings(visited)
    gallery.make_speakable(visited, lambda: None)
    (tmp_path / "luc.wav").write_bytes(recording())
    reference = read_recording(tmp_path / "luc.wav", 1.5, "voice luc")
    broken = replace(reference, samples=np.full_like(reference.samples, np.nan), digest="other")
    voice = gallery.new_voice("luc", None, broken.digest)
    with pytest.raises(BadRecording, match="not finite"):
        gallery.clone_voice(voice, broken, lambda work: work())
    assert store.get(voice.digest) is None
