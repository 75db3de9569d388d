from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monica.audio.wav import wav_duration
from monica.config import Settings
from monica.engine import SynthesisParams
from monica.service import Service
from monica.speech import SpeechRequest
from monica.store import cache
from monica.store.cache import CacheFault, Entry, Store
from monica.store.card import Card
from monica.store.catalogue import Catalogue, TooManyPins, UnknownEntry
from monica.store.identity import Identity
from monica.store.label import Label
from tests.support.engines import ToyEngine
from tests.support.kept import IDENTITY, RECIPE, keep, label, server_store, sound


@pytest.fixture
def store(settings: Settings) -> Store:
    return server_store(settings)


@pytest.fixture
def catalogue(settings: Settings, store: Store) -> Iterator[Catalogue]:
    with Catalogue.open(settings) as catalogue:
        yield catalogue


def texts(cards: list[Card]) -> list[str]:
    return [card.text for card in cards]


@pytest.mark.parametrize(
    "search", ["Pablo", "pablo", "ÉLIMINÉ", "elimine", "cœur", "COEUR", "l'as", "L’AS", "é par le cœu", "éliminé"]
)
def test_a_phrase_is_found_whatever_its_case_and_accents(catalogue: Catalogue, store: Store, search: str) -> None:
    keep(store, "Pablo est éliminé par le cœur, et l’as.")
    keep(store, "Bonjour.")
    assert texts(catalogue.cards(search)) == ["Pablo est éliminé par le cœur, et l’as."]


def test_a_phrase_is_found_as_it_is_written_and_as_it_is_said(catalogue: Catalogue, store: Store) -> None:
    said = "Les blaïnedes sont à cent, deux cents."
    both = replace(label("Blinds 100/200"), recipe=replace(RECIPE, text="Blinds 100/200", said=said))
    store.put(both.recipe.key, sound(said), both.written())
    assert texts(catalogue.cards("100/")) == texts(catalogue.cards("deux cents")) == ["Blinds 100/200"]
    assert catalogue.cards("trois") == []


def test_phrases_are_sorted(catalogue: Catalogue, store: Store) -> None:
    for text, seconds, made in (("Éva", 1.0, 30.0), ("Ali", 3.0, 10.0), ("Zoé", 2.0, 20.0)):
        keep(store, text, seconds, made)
    for card in catalogue.cards():
        for _ in range({"Éva": 2, "Ali": 1, "Zoé": 3}[card.text]):
            store.get(card.key)
    store.flush()
    assert texts(catalogue.cards()) == texts(catalogue.cards(sort="made")) == ["Éva", "Zoé", "Ali"]
    assert texts(catalogue.cards(sort="hits")) == ["Zoé", "Éva", "Ali"]
    assert texts(catalogue.cards(sort="size")) == ["Ali", "Zoé", "Éva"]
    assert texts(catalogue.cards(sort="text")) == ["Ali", "Éva", "Zoé"]


def test_a_key_is_found_by_its_beginning(catalogue: Catalogue, store: Store) -> None:
    for key in ("ab" + "0" * 62, "ac" + "0" * 62):
        store.put(key, b"", "")
    assert [card.key[:2] for card in catalogue.pick(["ab", "AC00"])] == ["ab", "ac"]
    assert len(catalogue.pick(["ab", "ab0"])) == 1
    with pytest.raises(UnknownEntry, match="2 entries' keys begin with a: ab0000000000, ac0000000000"):
        catalogue.pick(["a"])
    for unknown in ("ad", "", "%", "\x1b[31m"):
        with pytest.raises(UnknownEntry, match="No entry's key begins with") as caught:
            catalogue.pick([unknown])
        assert caught.value.message.isprintable()


def test_the_cache_in_numbers(catalogue: Catalogue, store: Store, settings: Settings) -> None:
    assert catalogue.stats().entries == 0
    often = keep(store, "Un", 1.0, 10.0)
    keep(store, "Deux", 2.0, 30.0)
    keep(store, "Trois", 3.0, 20.0, engine="espeak", fingerprint="espeak 1")
    store.put("0" * 64, b"before labels")
    catalogue.pin(catalogue.pick([often]))
    store.get(often)
    store.get(often)
    store.flush()
    stats = catalogue.stats()
    assert (stats.entries, stats.pinned, stats.hits) == (4, 1, 2)
    assert stats.bytes == sum(len(sound(text, s)) for text, s in (("Un", 1), ("Deux", 2), ("Trois", 3))) + 13
    assert stats.pinned_bytes == len(sound("Un"))
    assert stats.bytes < stats.volume < stats.limit == settings.cache_mb * 2**20
    assert stats.seconds == 6.0
    assert stats.oldest == 10.0
    assert stats.newest == pytest.approx(time.time(), abs=60)  # what has no label was made when it was put
    shares = [(share.engine, share.voice, share.entries, share.seconds) for share in stats.shares]
    assert shares == [("", "", 1, 0), ("chatterbox", "monica", 2, 3.0), ("espeak", "monica", 1, 3.0)]
    assert texts(stats.most) == ["Un"]
    json.dumps(stats.as_dict())


def test_what_is_corrupt_is_named_and_nothing_else(catalogue: Catalogue, store: Store, settings: Settings) -> None:
    for text in ("gut", "flipped", "truncated", "lost", "inline"):
        keep(store, text, 0.1 if text == "inline" else 4.0)
    for card in catalogue.cards():
        with sqlite3.connect(settings.cache_dir / "takes" / "cache.db") as db:
            (name,) = db.execute("SELECT filename FROM Cache WHERE key = ?", (card.key,)).fetchone()
            if card.text == "inline":
                db.execute("UPDATE Cache SET value = x'00' WHERE key = ?", (card.key,))
        path = settings.cache_dir / "takes" / (name or "")
        if card.text == "flipped":
            path.write_bytes(b"X" + path.read_bytes()[1:])
        elif card.text == "truncated":
            path.write_bytes(path.read_bytes()[:-1])
        elif card.text == "lost":
            path.unlink()
    found = {card.text: fault for card, fault in catalogue.verify()}
    assert found.pop("gut") is None
    assert sorted(found) == ["flipped", "inline", "lost", "truncated"]
    assert all(fault and "cannot be used" in fault for fault in found.values())
    assert len(catalogue.cards()) == 5


def test_what_goes_while_it_is_verified_is_not_corrupt(catalogue: Catalogue, store: Store) -> None:
    keys = [keep(store, text, 4.0) for text in ("un", "deux", "trois")]
    seen = []
    for card, fault in catalogue.verify():
        seen.append((card.text, fault))
        for key in keys:
            if key != card.key:
                store.remove(key)
    assert [fault for _, fault in seen] == [None]


def test_what_is_removed_is_gone_in_the_server_within_ten_seconds(catalogue: Catalogue, store: Store) -> None:
    key = keep(store, "Bonjour.")
    catalogue.pin(catalogue.pick([key]))
    catalogue.remove(catalogue.pick([key]))
    assert store.get(key) == sound("Bonjour.")  # from the server's memory
    store._recent.expire(time.monotonic() + cache.RECENT_SECONDS)
    assert store.get(key) is None
    keep(store, "Bonjour.")
    assert not catalogue.cards()[0].pinned


def test_pins_leave_room(settings: Settings) -> None:
    settings = replace(settings, cache_mb=1)
    store = server_store(settings)
    for text in ("un", "deux", "trois"):
        keep(store, text, 12.0)  # 192 kB
    with Catalogue.open(settings) as catalogue:
        cards = catalogue.cards()
        catalogue.pin(cards[:2])
        catalogue.pin(cards[:2])
        with pytest.raises(TooManyPins, match="more than half of MONICA_CACHE_MB=1"):
            catalogue.pin(cards[2:])
        catalogue.unpin(cards[:1])
        catalogue.pin(cards[2:])
        assert [card.pinned for card in catalogue.cards()] == [False, True, True]


def test_a_folder_that_is_not_there_is_empty_and_stays_away(settings: Settings) -> None:
    with Catalogue.open(settings) as catalogue:
        assert catalogue.cards() == []
        assert catalogue.stats().entries == 0
        assert list(catalogue.verify()) == []
        with pytest.raises(UnknownEntry):
            catalogue.pick(["a"])
    assert not settings.cache_dir.exists()


LABELS = st.one_of(
    st.text(max_size=50),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=6,
    ).map(json.dumps),
    st.dictionaries(
        st.sampled_from(["text", "said", "engine", "voice", "seconds", "made", "params", "seed"]),
        st.none() | st.floats() | st.integers() | st.text(max_size=20) | st.lists(st.none(), max_size=2),
    ).map(json.dumps),
    st.just("[" * 100_000),
)


@given(LABELS)
def test_no_label_is_too_odd_to_be_shown(written: str) -> None:
    card = Card.of(Entry("a" * 64, "b" * 64, written, 1, 2.0, 3.0, 4, False))
    assert (card.text + card.said + card.engine + card.voice).isprintable()
    time.localtime(card.made)
    assert card.seconds is None or card.seconds >= 0
    with pytest.raises(ValueError):
        card.label()


def test_a_label_comes_back() -> None:
    made = label("Élise « dit » \u202f\U0001f600", params=SynthesisParams(exaggeration=0.1 + 0.2), seed=2**32 - 1)
    again = Label.read(made.written())
    assert again == made
    assert again.recipe.key == made.recipe.key
    assert Label.read(json.loads(json.dumps(made.as_dict()))) == made


@pytest.mark.parametrize(
    "wrong",
    [
        {"said": None}, {"params": {}}, {"params": None}, {"seed": -1}, {"seed": True}, {"seed": 1.0}, {"drawn": 2**32},
        {"seconds": float("nan")}, {"seconds": True}, {"made": 1e300}, {"made": -1}, {"more": 1},
    ],
)  # fmt: skip
def test_a_label_is_read_strictly(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Label.read(label("Bonjour.").as_dict() | wrong)


def test_what_changes_the_sound_changes_the_key_and_names_do_not() -> None:
    others = [
        replace(RECIPE, said="Non."), replace(RECIPE, fingerprint="x"), replace(RECIPE, voice_digest="x"),
        replace(RECIPE, params=SynthesisParams(min_p=0.1)), replace(RECIPE, seed=0), replace(RECIPE, audio="2"),
    ]  # fmt: skip
    assert len({RECIPE.key, *(other.key for other in others)}) == 7
    assert RECIPE.key == replace(RECIPE, text="Oui", engine="other", voice="other").key


def test_the_announcer_says_what_it_keeps(service: Service, toy: ToyEngine, settings: Settings) -> None:
    said = service.announcer.announce(
        SpeechRequest("Les blinds\n sont à 100/200.", params=SynthesisParams(exaggeration=0.7))
    )
    with Catalogue.open(settings) as catalogue:
        (card,) = catalogue.cards()
        kept = card.label()
        assert (card.key, catalogue.read(card)) == (said.key, said.wav)
    assert card.text == "Les blinds sont à 100/200."
    assert card.said == toy.spoken[0] != card.text
    assert kept.recipe.key == card.key
    assert kept.recipe.params.exaggeration == 0.7
    assert kept.recipe.seed is None
    assert kept.drawn == toy.seeds[0]
    assert kept.seconds == wav_duration(said.wav) == card.seconds
    assert kept.made == pytest.approx(time.time(), abs=60)
    assert (card.engine, kept.recipe.fingerprint, card.voice) == (toy.name, toy.fingerprint, "monica")


def test_a_long_text_and_its_sentences_are_kept_with_their_labels(service: Service, settings: Settings) -> None:
    sentences = [
        f"Le tournoi numéro {number} continue dans la bonne humeur à toutes les tables." for number in range(6)
    ]
    said = service.announcer.announce(SpeechRequest(" ".join(sentences), seed=3))
    with Catalogue.open(settings) as catalogue:
        cards = {card.key: card for card in catalogue.cards()}
    assert said.key is not None
    whole = cards.pop(said.key)
    assert whole.text == " ".join(sentences)
    assert (whole.label().recipe.seed, whole.label().drawn) == (3, None)
    assert len(cards) > 1
    assert all(card.text == card.said and card.text in whole.said for card in cards.values())
    assert all(card.key == card.label().recipe.key for card in [whole, *cards.values()])


def test_the_server_notes_who_speaks_here(service: Service, settings: Settings) -> None:
    identity = Identity.read(settings.cache_dir)
    assert identity is not None
    service.announcer.announce(SpeechRequest("Bonjour."))
    with Catalogue.open(settings) as catalogue:
        (card,) = catalogue.cards()
    recipe = card.label().recipe
    assert identity.differs(recipe) is None
    assert "toy 1" in str(identity.differs(replace(recipe, fingerprint="other")))
    assert "another voice" in str(identity.differs(replace(recipe, voice_digest="other")))
    assert "finished" in str(identity.differs(replace(recipe, audio="other")))


@pytest.mark.parametrize("written", [b"", b"[]", b'{"fingerprint": 1}', b"\xff", b"[" * 100_000])
def test_an_identity_that_cannot_be_read_is_none(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "identity.json").write_bytes(written)
    assert Identity.read(tmp_path) is None


def test_an_identity_that_cannot_be_written_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    IDENTITY.write(tmp_path / "no" / "such")
    assert "cannot be noted" in caplog.text
    IDENTITY.write(tmp_path)
    assert Identity.read(tmp_path) == IDENTITY
    assert [path.name for path in tmp_path.iterdir()] == ["identity.json"]


def test_what_cannot_be_removed_is_said(catalogue: Catalogue, store: Store, settings: Settings) -> None:
    keep(store, "Bonjour.")
    cards = catalogue.cards()
    with sqlite3.connect(settings.cache_dir / "takes" / "cache.db") as db:
        db.execute("CREATE TRIGGER no BEFORE DELETE ON Cache BEGIN SELECT RAISE(FAIL, 'no'); END")
    with pytest.raises(CacheFault, match="cannot be removed"):
        catalogue.remove(cards)
