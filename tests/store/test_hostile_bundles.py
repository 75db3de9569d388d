"""Bundles may come from anyone. Whatever is in one, only whole sounds are imported, under their own keys."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monica.config import Settings
from monica.engine import SynthesisParams
from monica.store.bundle import BundleError
from monica.store.catalogue import Catalogue
from monica.store.migration import old_key
from tests.store.test_bundle import Members, examine, kept, packed, unpacked
from tests.support.kept import IDENTITY, metadata, old_fields, sound

MADE = [
    metadata("Un.", 0.1),
    metadata("Deux.", 0.1, params=SynthesisParams(exaggeration=0.9)),
    metadata("Trois.", 0.1, seed=3),
]
GOOD = {made.recipe.key: sound(made.recipe.text, 0.1) for made in MADE}


def good_bundle(version: int) -> bytes:
    members: Members = {}
    entries = []
    for made in MADE:
        value = GOOD[made.recipe.key]
        fields = old_fields(made) if version == 1 else made.to_fields()
        key = old_key(fields) if version == 1 else made.recipe.key
        digest = hashlib.sha256(value).hexdigest()
        entries.append({"key": key, "sha256": digest, "size": len(value), "label": fields})
        members[f"{key}.wav"] = value
    manifest = {"format": "monica-bundle", "version": version, "entries": entries}
    return packed(members | {"manifest.json": json.dumps(manifest).encode()})


BUNDLES = [good_bundle(2), good_bundle(1)]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Damage the bytes of a good bundle."""
    bundle = bytearray(draw(st.sampled_from(BUNDLES)))
    # A parser trusts the directory at the end, so that is damaged as often as all the rest.
    end = len(bundle) - 1
    places = st.one_of(st.integers(0, end), st.integers(end - 400, end), st.integers(end - 2500, end))
    for _ in range(draw(st.integers(1, 4))):
        place, length = draw(places), draw(st.integers(1, 40))
        match draw(st.sampled_from(["flip", "write", "cut", "insert", "copy"])):
            case "flip" if place < len(bundle):
                bundle[place] ^= 1 << draw(st.integers(0, 7))
            case "write":
                bundle[place : place + length] = draw(st.binary(min_size=length, max_size=length))
            case "cut":
                del bundle[place : place + length if draw(st.booleans()) else None]
            case "insert":
                bundle[place:place] = draw(st.binary(max_size=length))
            case "copy":
                bundle[place:place] = bundle[place : place + 200]
    return bytes(bundle)


@st.composite
def dishonest(draw: st.DrawFn) -> bytes:
    """Make a well-formed ZIP whose members or manifest were changed."""
    good = unpacked(draw(st.sampled_from(BUNDLES)))
    members = dict(good)
    names = st.one_of(
        st.sampled_from([*members, "../evil.wav", "/evil.wav", "evil/../../x", "manifest.json/", "a" * 64 + ".wav"]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20),
    )
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(members)))
        value = members.pop(name)
        changed = [value, value[:-1], value + b"\0", b"", value[:-2] + b"\x12\x34"]
        members[draw(st.just(name) | names)] = draw(st.sampled_from(changed))
    if members.get("manifest.json") == good["manifest.json"] and draw(st.booleans()):
        manifest = json.loads(members["manifest.json"])
        where: Any = manifest
        for _ in range(draw(st.integers(0, 4))):
            inner = list(where.values()) if isinstance(where, dict) else where
            nested = [each for each in inner if isinstance(each, dict | list) and each]
            where = draw(st.sampled_from(nested)) if nested else where
        if where:
            spot = draw(st.sampled_from(sorted(where) if isinstance(where, dict) else range(len(where))))
            odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.none())
            where[spot] = draw(odd)
        members["manifest.json"] = json.dumps(manifest).encode()
    return packed(members, draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])))


@given(st.one_of(damaged(), dishonest(), st.binary(max_size=200)))
@hypothesis_settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_only_whole_sounds_are_imported_from_any_bundle(
    tmp_path_factory: pytest.TempPathFactory, bundle: bytes
) -> None:
    folder = tmp_path_factory.mktemp("import")
    settings = Settings(cache_dir=folder / "deep" / "cache")
    message = ""
    try:
        examined = examine(bundle)
        examined.check_origin(IDENTITY)
        with Catalogue.open(settings, create=True) as catalogue:
            examined.import_into(catalogue)
    except BundleError as error:
        message = error.message
    assert len(message) < 500
    assert not message or message.isprintable()
    assert kept(settings).items() <= GOOD.items()
    assert [path for path in folder.rglob("*") if (folder / "deep") not in (path, *path.parents)] == []
    shutil.rmtree(folder)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_bundles_of_both_versions_are_imported_under_todays_keys(settings: Settings, bundle: bytes) -> None:
    with Catalogue.open(settings, create=True) as catalogue:
        examine(bundle).import_into(catalogue)
    assert kept(settings) == GOOD
