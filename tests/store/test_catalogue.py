from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monica.audio.wav import wav_duration
from monica.config import Settings
from monica.engine import SynthesisParams
from monica.service import Service
from monica.speech import SpeechRequest
from monica.store import recent
from monica.store.cache import CacheError, Store
from monica.store.catalogue import Catalogue, TooManyPins, UnknownPhrase
from monica.store.identity import Identity
from monica.store.phrase import KeptPhrase
from tests.support.engines import ToyEngine
from tests.support.kept import IDENTITY, RECIPE, keep, metadata, server_store, sound


@pytest.fixture
def store(settings: Settings) -> Store:
    return server_store(settings)


@pytest.fixture
def catalogue(settings: Settings, store: Store) -> Iterator[Catalogue]:
    with Catalogue.open(settings) as catalogue:
        yield catalogue


def texts(phrases: list[KeptPhrase]) -> list[str]:
    return [phrase.text for phrase in phrases]


@pytest.mark.parametrize(
    "search", ["Pablo", "pablo", "ÉLIMINÉ", "elimine", "cœur", "COEUR", "l'as", "L’AS", "é par le cœu", "éliminé"]
)
def test_search_ignores_case_and_accents(catalogue: Catalogue, store: Store, search: str) -> None:
    keep(store, "Pablo est éliminé par le cœur, et l’as.")
    keep(store, "Bonjour.")
    assert texts(catalogue.phrases(search)) == ["Pablo est éliminé par le cœur, et l’as."]


def test_search_finds_written_and_said_text(catalogue: Catalogue, store: Store) -> None:
    said = "Les blaïnedes sont à cent, deux cents."
    both = replace(metadata("Blinds 100/200"), recipe=replace(RECIPE, text="Blinds 100/200", said=said))
    store.put(both.recipe.key, sound(said), both.to_json())
    assert texts(catalogue.phrases("100/")) == texts(catalogue.phrases("deux cents")) == ["Blinds 100/200"]
    assert catalogue.phrases("trois") == []


def test_phrases_are_sorted(catalogue: Catalogue, store: Store) -> None:
    for text, seconds, made in (("Éva", 1.0, 30.0), ("Ali", 3.0, 10.0), ("Zoé", 2.0, 20.0)):
        keep(store, text, seconds, made)
    for phrase in catalogue.phrases():
        for _ in range({"Éva": 2, "Ali": 1, "Zoé": 3}[phrase.text]):
            store.get(phrase.key)
    store.flush()
    assert texts(catalogue.phrases()) == texts(catalogue.phrases(sort="made")) == ["Éva", "Zoé", "Ali"]
    assert texts(catalogue.phrases(sort="hits")) == ["Zoé", "Éva", "Ali"]
    assert texts(catalogue.phrases(sort="size")) == ["Ali", "Zoé", "Éva"]
    assert texts(catalogue.phrases(sort="text")) == ["Ali", "Éva", "Zoé"]


def test_phrase_is_found_by_the_beginning_of_its_key(catalogue: Catalogue, store: Store) -> None:
    for key in ("ab" + "0" * 62, "ac" + "0" * 62):
        store.put(key, b"", "")
    assert [phrase.key[:2] for phrase in catalogue.find_by_prefix(["ab", "AC00"])] == ["ab", "ac"]
    assert len(catalogue.find_by_prefix(["ab", "ab0"])) == 1
    with pytest.raises(UnknownPhrase, match="2 phrases' keys begin with a: ab0000000000, ac0000000000"):
        catalogue.find_by_prefix(["a"])
    for unknown in ("ad", "", "%", "\x1b[31m"):
        with pytest.raises(UnknownPhrase, match="No phrase's key begins with") as caught:
            catalogue.find_by_prefix([unknown])
        assert caught.value.message.isprintable()


def test_stats(catalogue: Catalogue, store: Store, settings: Settings) -> None:
    assert catalogue.stats().entries == 0
    often = keep(store, "Un", 1.0, 10.0)
    keep(store, "Deux", 2.0, 30.0)
    keep(store, "Trois", 3.0, 20.0, engine="espeak", fingerprint="espeak 1")
    store.put("0" * 64, b"before metadata")
    catalogue.pin(catalogue.find_by_prefix([often]))
    store.get(often)
    store.get(often)
    store.flush()
    stats = catalogue.stats()
    assert (stats.entries, stats.pinned, stats.hits) == (4, 1, 2)
    assert stats.bytes == sum(len(sound(text, s)) for text, s in (("Un", 1), ("Deux", 2), ("Trois", 3))) + len(
        b"before metadata"
    )
    assert stats.pinned_bytes == len(sound("Un"))
    assert stats.bytes < stats.volume < stats.limit == settings.cache_mb * 2**20
    assert stats.seconds == 6.0
    assert stats.oldest == 10.0
    assert stats.newest == pytest.approx(time.time(), abs=60)  # without metadata, it was made when it was stored
    shares = [(share.engine, share.voice, share.entries, share.seconds) for share in stats.shares]
    assert shares == [("", "", 1, 0), ("chatterbox", "monica", 2, 3.0), ("espeak", "monica", 1, 3.0)]
    assert texts(stats.most) == ["Un"]
    json.dumps(stats.as_dict())


def test_verify_names_only_what_is_corrupt(catalogue: Catalogue, store: Store, settings: Settings) -> None:
    for text in ("gut", "flipped", "truncated", "lost", "inline"):
        keep(store, text, 0.1 if text == "inline" else 4.0)
    for phrase in catalogue.phrases():
        with sqlite3.connect(settings.cache_dir / "takes" / "cache.db") as db:
            (name,) = db.execute("SELECT filename FROM Cache WHERE key = ?", (phrase.key,)).fetchone()
            if phrase.text == "inline":
                db.execute("UPDATE Cache SET value = x'00' WHERE key = ?", (phrase.key,))
        path = settings.cache_dir / "takes" / (name or "")
        if phrase.text == "flipped":
            path.write_bytes(b"X" + path.read_bytes()[1:])
        elif phrase.text == "truncated":
            path.write_bytes(path.read_bytes()[:-1])
        elif phrase.text == "lost":
            path.unlink()
    found = {phrase.text: error for phrase, error in catalogue.verify_sounds()}
    assert found.pop("gut") is None
    assert sorted(found) == ["flipped", "inline", "lost", "truncated"]
    assert all(error and "cannot be used" in error for error in found.values())
    assert len(catalogue.phrases()) == 5


def test_phrase_removed_during_verification_is_not_corrupt(catalogue: Catalogue, store: Store) -> None:
    keys = [keep(store, text, 4.0) for text in ("un", "deux", "trois")]
    seen = []
    for phrase, error in catalogue.verify_sounds():
        seen.append((phrase.text, error))
        for key in keys:
            if key != phrase.key:
                store.remove(key)
    assert [error for _, error in seen] == [None]


def test_removed_phrase_is_gone_in_the_server_within_ten_seconds(catalogue: Catalogue, store: Store) -> None:
    key = keep(store, "Bonjour.")
    catalogue.pin(catalogue.find_by_prefix([key]))
    catalogue.remove(catalogue.find_by_prefix([key]))
    assert store.get(key) == sound("Bonjour.")  # from the server's memory
    store._recent.expire(time.monotonic() + recent.RECENT_SECONDS)
    assert store.get(key) is None
    keep(store, "Bonjour.")
    assert not catalogue.phrases()[0].pinned


def test_pins_leave_room(settings: Settings) -> None:
    settings = replace(settings, cache_mb=1)
    store = server_store(settings)
    for text in ("un", "deux", "trois"):
        keep(store, text, 12.0)  # 192 kB
    with Catalogue.open(settings) as catalogue:
        phrases = catalogue.phrases()
        catalogue.pin(phrases[:2])
        catalogue.pin(phrases[:2])
        with pytest.raises(TooManyPins, match="more than half of MONICA_CACHE_MB=1"):
            catalogue.pin(phrases[2:])
        catalogue.unpin(phrases[:1])
        catalogue.pin(phrases[2:])
        assert [phrase.pinned for phrase in catalogue.phrases()] == [False, True, True]


def test_missing_folder_is_an_empty_cache_and_is_not_created(settings: Settings) -> None:
    with Catalogue.open(settings) as catalogue:
        assert catalogue.phrases() == []
        assert catalogue.stats().entries == 0
        assert list(catalogue.verify_sounds()) == []
        with pytest.raises(UnknownPhrase):
            catalogue.find_by_prefix(["a"])
    assert not settings.cache_dir.exists()


def test_announcer_keeps_metadata(service: Service, toy: ToyEngine, settings: Settings) -> None:
    said = service.announcer.announce(
        SpeechRequest("Les blinds\n sont à 100/200.", params=SynthesisParams(exaggeration=0.7))
    )
    with Catalogue.open(settings) as catalogue:
        (phrase,) = catalogue.phrases()
        kept = phrase.metadata()
        assert (phrase.key, catalogue.read_sound(phrase)) == (said.key, said.wav)
    assert phrase.text == "Les blinds sont à 100/200."
    assert phrase.said == toy.spoken[0] != phrase.text
    assert kept.recipe.key == phrase.key
    assert kept.recipe.params.exaggeration == 0.7
    assert kept.recipe.seed is None
    assert kept.drawn == toy.seeds[0]
    assert kept.seconds == wav_duration(said.wav) == phrase.seconds
    assert kept.made == pytest.approx(time.time(), abs=60)
    assert (phrase.engine, kept.recipe.fingerprint, phrase.voice) == (toy.name, toy.fingerprint, "monica")


def test_long_text_and_its_sentences_are_kept_with_metadata(service: Service, settings: Settings) -> None:
    sentences = [
        f"Le tournoi numéro {number} continue dans la bonne humeur à toutes les tables." for number in range(6)
    ]
    said = service.announcer.announce(SpeechRequest(" ".join(sentences), seed=3))
    with Catalogue.open(settings) as catalogue:
        phrases = {phrase.key: phrase for phrase in catalogue.phrases()}
    assert said.key is not None
    whole = phrases.pop(said.key)
    assert whole.text == " ".join(sentences)
    assert (whole.metadata().recipe.seed, whole.metadata().drawn) == (3, None)
    assert len(phrases) > 1
    assert all(phrase.text == phrase.said and phrase.text in whole.said for phrase in phrases.values())
    assert all(phrase.key == phrase.metadata().recipe.key for phrase in [whole, *phrases.values()])


def test_server_writes_its_identity(service: Service, settings: Settings) -> None:
    identity = Identity.from_folder(settings.cache_dir)
    assert identity is not None
    service.announcer.announce(SpeechRequest("Bonjour."))
    with Catalogue.open(settings) as catalogue:
        (phrase,) = catalogue.phrases()
    recipe = phrase.metadata().recipe
    assert identity.differs(recipe) is None
    assert "toy 1" in str(identity.differs(replace(recipe, fingerprint="other")))
    assert "another voice" in str(identity.differs(replace(recipe, voice_digest="other")))
    assert "finished" in str(identity.differs(replace(recipe, audio="other")))


@pytest.mark.parametrize("written", [b"", b"[]", b'{"fingerprint": 1}', b"\xff", b"[" * 100_000])
def test_unreadable_identity_is_none(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "identity.json").write_bytes(written)
    assert Identity.from_folder(tmp_path) is None


def test_failure_to_write_the_identity_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    IDENTITY.write_to(tmp_path / "no" / "such")
    assert "cannot be noted" in caplog.text
    IDENTITY.write_to(tmp_path)
    assert Identity.from_folder(tmp_path) == IDENTITY
    assert [path.name for path in tmp_path.iterdir()] == ["identity.json"]


def test_failure_to_remove_is_reported(catalogue: Catalogue, store: Store, settings: Settings) -> None:
    keep(store, "Bonjour.")
    phrases = catalogue.phrases()
    with sqlite3.connect(settings.cache_dir / "takes" / "cache.db") as db:
        db.execute("CREATE TRIGGER no BEFORE DELETE ON Cache BEGIN SELECT RAISE(FAIL, 'no'); END")
    with pytest.raises(CacheError, match="cannot be removed"):
        catalogue.remove(phrases)
