"""Keys and metadata: what they hold, and that they survive new parameters and newer formats."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, fields, make_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monica.config import Settings
from monica.engine import SynthesisParams
from monica.service import Service
from monica.speech import SpeechRequest
from monica.store.catalogue import Catalogue
from monica.store.metadata import Metadata
from monica.store.phrase import KeptPhrase
from monica.synthesis.take import Lane
from tests.store.test_bundle import examine, kept, stored_metadata, written
from tests.support.engines import ToyEngine
from tests.support.kept import RECIPE, keep, metadata, old_fields, server_store, sound

NESTED: Any = []
for _ in range(10):
    NESTED = [NESTED]

STORED = st.one_of(
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


@given(STORED)
def test_any_metadata_can_be_shown(written: str) -> None:
    phrase = KeptPhrase.from_row("a" * 64, f"{'b' * 64} {written}", 1, 2.0, 3.0, 4, 0)
    assert (phrase.text + phrase.said + phrase.engine + phrase.voice).isprintable()
    time.localtime(phrase.made)
    assert phrase.seconds is None or phrase.seconds >= 0
    with pytest.raises(ValueError):
        phrase.metadata()


def test_metadata_survives_a_round_trip() -> None:
    made = metadata("Élise « dit » \u202f\U0001f600", params=SynthesisParams(exaggeration=0.1 + 0.2), seed=2**32 - 1)
    again = Metadata.from_json(made.to_json())
    assert again == made
    assert again.recipe.key == made.recipe.key
    assert Metadata.from_fields(json.loads(json.dumps(made.to_fields()))) == made


@pytest.mark.parametrize(
    "wrong",
    [
        {"said": None}, {"text": 1}, {"page": 1}, {"fingerprint": []},
        {"params": {"top_p": None}}, {"params": {"new": float("inf")}},
        {"params": {"new": NESTED}}, {"params": None}, {"seed": -1}, {"seed": True}, {"seed": 1.0}, {"drawn": 2**32},
        {"seconds": float("nan")}, {"seconds": True}, {"made": 1e300}, {"made": -1}, {"made": None}, {"version": 0},
        {"version": "2"}, {"version": True}, {"new": NESTED}, {"new": [1e300]}, {"new": float("nan")},
    ],
)  # fmt: skip
def test_metadata_is_read_strictly(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Metadata.from_fields(metadata("Bonjour.").to_fields() | wrong)


def test_key_depends_on_what_changes_the_sound_and_not_on_names() -> None:
    others = [
        replace(RECIPE, said="Non."), replace(RECIPE, fingerprint="x"), replace(RECIPE, voice_digest="x"),
        replace(RECIPE, params=SynthesisParams(min_p=0.1)), replace(RECIPE, seed=0), replace(RECIPE, audio="2"),
    ]  # fmt: skip
    assert len({RECIPE.key, *(other.key for other in others)}) == 7
    assert RECIPE.key == replace(RECIPE, text="Oui", page="Oui. Non.", engine="other", voice="other").key


@dataclass(frozen=True, slots=True)
class MoreParams(SynthesisParams):
    """The parameters of a newer Monica."""

    pitch: float = 0.0
    style: str = "plain"


def test_new_parameter_with_a_default_changes_no_key() -> None:
    with_more = MoreParams(min_p=0.1)
    before = replace(RECIPE, params=SynthesisParams(min_p=0.1))
    assert replace(RECIPE, params=with_more).key == before.key
    assert replace(RECIPE, params=MoreParams(min_p=0.1, pitch=0.5)).key != before.key


@pytest.mark.parametrize("name", [known.name for known in fields(SynthesisParams)])
def test_every_parameter_changes_the_key(name: str) -> None:
    changed = replace(SynthesisParams(), **{name: getattr(SynthesisParams(), name) + 1})
    assert replace(RECIPE, params=changed).key != RECIPE.key


def test_number_has_one_key_however_it_is_written() -> None:
    assert replace(RECIPE, params=SynthesisParams(top_p=1, temperature=2)).key == (
        replace(RECIPE, params=SynthesisParams(top_p=1.0, temperature=2.0)).key
    )


def test_defaults_are_those_that_keys_leave_out() -> None:
    """A key names only what differs from the defaults. If one changes, raise KEY_VERSION, then change this test."""
    assert SynthesisParams() == SynthesisParams(0.5, 0.5, 0.8, 1.2, 0.05, 1.0, 1000)
    assert RECIPE.key == "a1f657f3db2db1abfde91ce29f4fba0bd346fb88ca383515c9110cd60773f5ee"
    assert (
        replace(RECIPE, seed=7, params=SynthesisParams(exaggeration=0.7)).key
        == "a8a9fe918f0312c88a19384a8560750a9fb8da5551675c5f9242269b3ac51953"
    )


def test_old_metadata_is_read() -> None:
    """Version 1 named every parameter, and wrote no version."""
    made = metadata("Bonjour.", params=SynthesisParams(exaggeration=0.7), seed=7)
    assert old_fields(made)["params"]["cfg_weight"] == 0.5
    assert Metadata.from_fields(old_fields(made)) == made


def test_missing_fields_get_defaults() -> None:
    given = metadata("Bonjour.").to_fields()
    for name in ("version", "text", "params", "seed", "drawn"):
        del given[name]
    assert Metadata.from_fields(given) == replace(metadata("Bonjour."), drawn=None)


NEWER = {"version": 9, "loudness": {"lufs": -16.5, "peaks": [1, None, "x"]}}


def newer(text: str, **params: object) -> str:
    """Return metadata as a newer Monica would write it."""
    return json.dumps(metadata(text).to_fields() | NEWER | {"params": params}, separators=(",", ":"))


def test_newer_metadata_is_read_and_written_back() -> None:
    read = Metadata.from_json(newer("Bonjour.", temperature=0.9, pitch=0.5))
    assert read.recipe.params == SynthesisParams(temperature=0.9)
    assert json.loads(read.to_json()) == json.loads(newer("Bonjour.", temperature=0.9, pitch=0.5))
    newer_params = make_dataclass("NewerParams", [("pitch", float, 0.0)], bases=(SynthesisParams,), frozen=True)
    as_written = replace(read.recipe, params=newer_params(temperature=0.9, pitch=0.5), unknown_params={})
    assert read.recipe.key == as_written.key


def test_newer_fields_survive_listing_export_and_import(settings: Settings, tmp_path: Any) -> None:
    store = server_store(settings)
    for text in (newer("Un."), newer("Deux.", pitch=0.5)):
        made_of = Metadata.from_json(text)
        assert store.put(made_of.recipe.key, sound(made_of.recipe.text), text)
    with Catalogue.open(settings) as catalogue:
        assert {phrase.text for phrase in catalogue.phrases("d")} == {"Deux."}
    elsewhere = replace(settings, cache_dir=tmp_path / "elsewhere")
    with Catalogue.open(elsewhere, create=True) as catalogue:
        assert examine(written(settings)).import_into(catalogue).new == 2
    assert kept(elsewhere) == kept(settings)
    for before, after in zip(stored_metadata(settings).items(), stored_metadata(elsewhere).items(), strict=True):
        assert (before[0], json.loads(before[1])) == (after[0], json.loads(after[1]))


def test_newer_fields_survive_a_remake(service: Service, settings: Settings, toy: ToyEngine) -> None:
    request = SpeechRequest("Bonjour.")
    said = service.announcer.announce(request)
    assert said.key is not None
    store = server_store(settings)
    (stored,) = stored_metadata(settings).values()
    store.put(said.key, said.wav, json.dumps(json.loads(stored) | NEWER))
    service.announcer.announce(replace(request, lane=Lane.BACKGROUND, fresh=True))
    (again,) = stored_metadata(settings).values()
    assert json.loads(again).items() >= NEWER.items()
    assert json.loads(again)["drawn"] == toy.seeds[1] != toy.seeds[0]


def test_metadata_that_cannot_be_read_does_not_hinder_a_remake(service: Service, settings: Settings) -> None:
    request = SpeechRequest("Bonjour.")
    said = service.announcer.announce(request)
    assert said.key is not None
    server_store(settings).put(said.key, said.wav, "[" * 1000)
    service.announcer.announce(replace(request, fresh=True))
    (again,) = stored_metadata(settings).values()
    assert Metadata.from_json(again).recipe.key == said.key


def test_phrase_with_parameters_of_a_newer_monica_is_another_phrase(settings: Settings) -> None:
    store = server_store(settings)
    plain = keep(store, "Bonjour.")
    assert Metadata.from_json(newer("Bonjour.", pitch=0.5)).recipe.key != plain
    assert Metadata.from_json(newer("Bonjour.")).recipe.key == plain
