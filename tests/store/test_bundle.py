from __future__ import annotations

import errno
import gc
import hashlib
import io
import json
import shutil
import sqlite3
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from diskcache import Disk

from monica.config import Settings
from monica.store.bundle import Bundle, BundleError, ForeignBundle, Imported, export
from monica.store.catalogue import Catalogue
from tests.support.kept import IDENTITY, keep, metadata, server_store, sound

LIMIT = 100 * 2**20
TEXTS = ("Pablo est éliminé.", "Les blinds sont à 100/200.", "Bravo, Élise !")
Members = dict[str, bytes]


@pytest.fixture
def full(settings: Settings) -> Settings:
    """Settings of a cache that holds three takes."""
    store = server_store(settings)
    for text in TEXTS:
        keep(store, text, 3.0)
    store.close()
    return settings


def written(settings: Settings) -> bytes:
    file = io.BytesIO()
    with Catalogue.open(settings) as catalogue:
        assert export(catalogue, catalogue.phrases(), file) == []
    return file.getvalue()


def examine(bundle: bytes) -> Bundle:
    return Bundle(io.BytesIO(bundle), LIMIT)


def import_bundle(bundle: bytes, settings: Settings) -> Imported:
    with Catalogue.open(settings, create=True) as catalogue:
        return examine(bundle).import_into(catalogue)


def kept(settings: Settings) -> dict[str, bytes]:
    with Catalogue.open(settings) as catalogue:
        return {phrase.key: catalogue.read_sound(phrase) for phrase in catalogue.phrases()}


def stored_metadata(settings: Settings) -> dict[str, str]:
    with Catalogue.open(settings) as catalogue:
        return {phrase.key: phrase.metadata_json for phrase in catalogue.phrases()}


def unpacked(bundle: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Members, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, value in members.items():
            archive.writestr(name, value)
    return file.getvalue()


def with_manifest(bundle: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    members = unpacked(bundle)
    manifest = json.loads(members["manifest.json"])
    change(manifest)
    return packed(members | {"manifest.json": json.dumps(manifest).encode()})


def test_export_wipe_import_gives_the_same_bytes(full: Settings) -> None:
    before, said, bundle = kept(full), stored_metadata(full), written(full)
    assert len(before) == 3
    shutil.rmtree(full.cache_dir)
    assert import_bundle(bundle, full) == Imported(new=3, replaced=0, known=0)
    assert kept(full) == before
    assert stored_metadata(full) == said
    assert written(full) == bundle
    assert {key: server_store(full).get(key) for key in before} == before


@pytest.mark.parametrize("missing", [10, 1000, 10_000])  # the ZIP's directory, the manifest, a sound
def test_disk_that_fills_up_while_a_bundle_is_written_leaves_no_open_file(
    full: Settings, missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever that happens: a ZipFile that is left open complains when it is collected."""
    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    room = len(written(full)) - missing

    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            if self.tell() + len(data) > room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    with pytest.raises(OSError, match="No space"), Catalogue.open(full) as catalogue, Full() as file:
        export(catalogue, catalogue.phrases(), file)
    gc.collect()
    assert complaints == []


def test_any_zip_program_can_unpack_a_bundle(full: Settings) -> None:
    with zipfile.ZipFile(io.BytesIO(written(full))) as archive:
        assert archive.testzip() is None
        assert {member.external_attr >> 16 for member in archive.infolist()} == {0o644}
        assert archive.namelist()[-1] == "manifest.json"
        assert TEXTS[0] in [entry["label"]["text"] for entry in json.loads(archive.read("manifest.json"))["entries"]]


def test_known_sound_is_left_alone_and_another_take_is_replaced(full: Settings) -> None:
    bundle = written(full)
    store = server_store(full)
    key = metadata(TEXTS[0]).recipe.key
    store.put(key, sound("another take"), metadata(TEXTS[0]).to_json())
    assert import_bundle(bundle, full) == Imported(new=0, replaced=1, known=2)
    assert kept(full)[key] == sound(TEXTS[0], 3.0)
    assert import_bundle(bundle, full) == Imported(new=0, replaced=0, known=3)


def test_import_repairs_corrupt_phrases(full: Settings) -> None:
    before, bundle = kept(full), written(full)
    for path in (full.cache_dir / "takes").rglob("*.val"):
        path.write_bytes(b"corrupt")
    assert import_bundle(bundle, full) == Imported(new=0, replaced=3, known=0)
    assert kept(full) == before


def test_phrases_that_cannot_be_verified_are_not_exported(full: Settings) -> None:
    store = server_store(full)
    store.put("a" * 64, sound("before metadata"))
    store.put("b" * 64, sound("of another key"), metadata("of another key").to_json())
    store.put(metadata("no sound").recipe.key, b"no sound", metadata("no sound").to_json())
    with sqlite3.connect(full.cache_dir / "takes" / "cache.db") as db:
        key = metadata(TEXTS[0]).recipe.key
        (name,) = db.execute("SELECT filename FROM Cache WHERE key = ?", (key,)).fetchone()
    (full.cache_dir / "takes" / name).unlink()
    file = io.BytesIO()
    with Catalogue.open(full) as catalogue:
        left_out = export(catalogue, catalogue.phrases(), file)
    assert {phrase.key for phrase in left_out} == {"a" * 64, "b" * 64, metadata("no sound").recipe.key, key}
    assert {phrase.metadata.recipe.text for phrase in examine(file.getvalue()).phrases} == set(TEXTS[1:])


def test_empty_bundle_is_valid(settings: Settings) -> None:
    assert import_bundle(written(settings), settings) == Imported(0, 0, 0)


@pytest.mark.parametrize(
    ("foreign", "says"),
    [
        ({"fingerprint": "chatterbox 2"}, "made by chatterbox 2; this machine has chatterbox 1"),
        ({"voice_digest": "w" * 64}, "in another voice, monica (wwwwwwwwwwww)"),
        ({"audio": "2"}, "finished in another way"),
        ({"fingerprint": "\x1b[31m" + "x" * 10_000}, "made by \ufffd[31mxx"),
    ],
)
def test_bundle_of_another_engine_or_voice_is_refused(settings: Settings, foreign: dict[str, Any], says: str) -> None:
    store = server_store(settings)
    keep(store, "Bonjour.")
    examine(written(settings)).check_origin(IDENTITY)
    keep(store, "Bonsoir.", **foreign)
    with pytest.raises(ForeignBundle) as caught:
        examine(written(settings)).check_origin(IDENTITY)
    assert caught.value.message.startswith("1 of 2 sounds would not be asked for here: " + says)
    assert len(caught.value.message) < 400


def test_bundle_is_refused_if_the_server_has_never_been_ready(full: Settings) -> None:
    with pytest.raises(ForeignBundle, match="has not been ready here yet"):
        examine(written(full)).check_origin(None)


CLIMBING = ["../evil.wav", "/etc/evil.wav", "..\\evil.wav", "a/../../evil.wav", "evil.wav", "evil/", "\x1b[2J"]


@pytest.mark.parametrize("name", CLIMBING)
def test_unexpected_member_is_refused(full: Settings, name: str) -> None:
    bundle = written(full)
    for members in (unpacked(bundle) | {name: b"evil"}, {name: b"evil"} | unpacked(bundle)):
        with pytest.raises(BundleError, match="does not belong there") as caught:
            examine(packed(members))
        assert caught.value.message.isprintable()


@pytest.mark.parametrize("name", CLIMBING)
def test_manifest_with_a_path_is_refused(full: Settings, name: str) -> None:
    members = unpacked(written(full))
    manifest = json.loads(members.pop("manifest.json"))
    entry = manifest["entries"][0]
    members[name] = members.pop(f"{entry['key']}.wav")
    entry["key"] = name.removesuffix(".wav")
    with pytest.raises(BundleError):
        examine(packed(members | {"manifest.json": json.dumps(manifest).encode()}))


def _swap_texts(manifest: dict[str, Any]) -> None:
    first, second = manifest["entries"][:2]
    first["label"], second["label"] = second["label"], first["label"]


def _swap_sounds(manifest: dict[str, Any]) -> None:
    first, second = manifest["entries"][:2]
    first["sha256"], second["sha256"] = second["sha256"], first["sha256"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m["entries"].pop(), "does not belong there"),
        (lambda m: m["entries"].append(m["entries"][0]), "a phrase is there twice"),
        (lambda m: m["entries"][0].update(size=5), "not what the manifest says"),
        (lambda m: m["entries"][0].update(sha256="0" * 64), "checksum of .* differs"),
        (lambda m: m["entries"][0].update(key="0" * 64), "key is not that of its metadata"),
        (lambda m: m["entries"][0]["label"].update(said="Autre chose."), "key is not that of its metadata"),
        (lambda m: m["entries"][0]["label"].update(seed=5), "key is not that of its metadata"),
        (lambda m: m["entries"][0]["label"].update(said="\ud800"), "not a bundle"),
        (lambda m: m["entries"][0]["label"].update(seconds="long"), "number"),
        (lambda m: m["entries"][0].pop("label"), "not a bundle"),
        (_swap_texts, "key is not that of its metadata"),
        (_swap_sounds, "checksum of .* differs"),
        (lambda m: m.update(version=3), "of version 3, not 1 or 2"),
        (lambda m: m.update(version="x" * 10_000), "of version 'x"),
        (lambda m: m.update(format="other"), "manifest is of something else"),
        (lambda m: m.update(entries={"a": 1}), "not a bundle"),
        (lambda m: m.update(entries=None), "not a bundle"),
    ],
)
def test_wrong_manifest_is_refused(full: Settings, change: Callable[[dict[str, Any]], object], says: str) -> None:
    with pytest.raises(BundleError, match=says) as caught:
        examine(with_manifest(written(full), change))
    assert len(caught.value.message) < 400


def test_missing_sound_is_reported(full: Settings) -> None:
    members = unpacked(written(full))
    del members[next(name for name in members if name.endswith(".wav"))]
    with pytest.raises(BundleError, match=r"not whole: .* is not there"):
        examine(packed(members))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("which", ["manifest.json", "wav"])
def test_duplicate_member_is_refused(full: Settings, which: str) -> None:
    file = io.BytesIO(written(full))
    with zipfile.ZipFile(file, "a") as archive:
        name = next(name for name in archive.namelist() if name.endswith(which))
        archive.writestr(name, archive.read(name))
    with pytest.raises(BundleError):
        examine(file.getvalue())


def test_compressed_bundle_is_refused(full: Settings) -> None:
    """Otherwise a small file could unpack to a huge one."""
    members = unpacked(written(full))
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(BundleError):
            examine(packed(members, compression))
    manifest = members.pop("manifest.json")
    file = io.BytesIO(packed({"manifest.json": manifest}))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            archive.writestr(name, value)
    with pytest.raises(BundleError, match="not what the manifest says"):
        examine(file.getvalue())


@pytest.mark.parametrize(
    "damage",
    [
        lambda wav: wav[:43],
        lambda wav: b"RIFX" + wav[4:],
        lambda wav: wav[:24] + bytes(4) + wav[28:],  # no samples a second: dividing by them would fail
        lambda wav: wav[:22] + b"\x02" + wav[23:],  # two channels
        lambda wav: wav[:40] + b"\xff\xff\xff\xff" + wav[44:],
        lambda wav: wav + b"more",
        lambda _: b"",
    ],
)
def test_only_sounds_are_imported(settings: Settings, damage: Callable[[bytes], bytes]) -> None:
    value, made = damage(sound("Bonjour.")), metadata("Bonjour.")
    entry = {"key": made.recipe.key, "sha256": hashlib.sha256(value).hexdigest(), "size": len(value)}
    manifest = {"format": "monica-bundle", "version": 2, "entries": [entry | {"label": made.to_fields()}]}
    members = {"manifest.json": json.dumps(manifest).encode(), f"{made.recipe.key}.wav": value}
    with pytest.raises(BundleError, match="is not a WAV as Monica writes it"):
        examine(packed(members))


@pytest.mark.parametrize("bundle", [b"", b"PK", b"RIFF....WAVE", packed({}), packed({"manifest.json": b"[" * 10**5})])
def test_other_file_is_refused(bundle: bytes) -> None:
    with pytest.raises(BundleError, match="not a bundle"):
        examine(bundle)


def test_truncated_bundle_is_refused_wherever_it_ends(full: Settings) -> None:
    bundle = written(full)
    for end in {*range(0, len(bundle), 5003), *range(len(bundle) - 50, len(bundle))}:
        with pytest.raises(BundleError):
            examine(bundle[:end])


def test_too_large_bundle_is_refused_before_it_is_read(full: Settings) -> None:
    bundle = written(full)
    with pytest.raises(BundleError, match=r"no room: the bundle has 0\.1 MB"):
        Bundle(io.BytesIO(bundle), 100_000)


def test_nothing_is_evicted_for_an_import(full: Settings, tmp_path: Path) -> None:
    bundle = written(full)
    small = replace(full, cache_dir=tmp_path / "small", cache_mb=1)
    store = server_store(small)
    mine = [keep(store, f"Phrase {number}", 12.0) for number in range(5)]  # 192 kB each
    store.close()
    with pytest.raises(BundleError, match=r"There is no room: 0\.\d MB are needed, .* of MONICA_CACHE_MB=1 are free"):
        import_bundle(bundle, small)
    assert set(kept(small)) == set(mine)
    larger = replace(small, cache_mb=2)
    assert import_bundle(bundle, larger).new == 3
    assert set(kept(larger)) > set(mine)


def test_disk_full_in_the_middle_leaves_whole_sounds(
    full: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, bundle = kept(full), written(full)
    elsewhere = replace(full, cache_dir=tmp_path / "elsewhere")
    write, writes = Disk._write, []

    def fail(self: object, full_path: str, iterator: Any, *args: Any) -> int:
        writes.append(full_path)
        if len(writes) == 2:
            Path(full_path).parent.mkdir(parents=True)
            Path(full_path).write_bytes(next(iter(iterator))[:100])
            raise OSError(28, "No space left on device")
        return int(write(self, full_path, iterator, *args))

    monkeypatch.setattr(Disk, "_write", fail)
    with pytest.raises(BundleError, match="after 1 of 3 sounds"):
        import_bundle(bundle, elsewhere)
    assert len(kept(elsewhere)) == 1
    assert kept(elsewhere).items() <= before.items()
    assert len(list((elsewhere.cache_dir / "takes").rglob("*.val"))) == 1
    assert import_bundle(bundle, elsewhere) == Imported(new=2, replaced=0, known=1)
    assert kept(elsewhere) == before


def test_texts_are_not_logged(full: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bundle = written(full)
    shutil.rmtree(full.cache_dir)
    import_bundle(bundle, full)
    with pytest.raises(BundleError) as caught:
        examine(with_manifest(bundle, lambda m: m["entries"][0]["label"].update(said="Secret.")))
    assert not [text for text in (*TEXTS, "Secret") if text in caplog.text + caught.value.message]
