"""Takes and bundles with keys of version 1 are still hits. tests/store/upgrade/0.1 was written by such a Monica."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from monica.cli import main
from monica.config import Settings
from monica.store.bundle import Bundle, Imported
from monica.store.cache import CacheError, Store
from monica.store.catalogue import Catalogue
from monica.store.identity import Identity
from monica.store.migration import DATABASE_VERSION, old_key, rename_old_keys
from tests.store.test_bundle import kept, written
from tests.support.kept import keep, metadata, old_fields, server_store, sound
from tests.support.server import ROOT, Server

FIXTURE = ROOT / "tests" / "store" / "upgrade" / "0.1"
OLD_KEYS = {
    "Oui.": "8c438c7ce421031402132bf16f2ac6fe1ecc0dda4eecaaa7cc831884627b6b83",
    "Non.": "58d5b89053ec3ab0dfa750c6b96e0c7693e6571170eaedcf0be8c0b605b07fd1",
}


@pytest.fixture
def old(settings: Settings) -> Settings:
    """Return the settings of a copy of the old cache folder."""
    shutil.copytree(FIXTURE, settings.cache_dir)
    return settings


def old_sounds() -> dict[str, bytes]:
    """Return what the old database holds, by text."""
    with sqlite3.connect(f"file:{FIXTURE / 'takes' / 'cache.db'}?mode=ro&immutable=1", uri=True) as db:
        return {json.loads(tag[65:])["text"]: value for tag, value in db.execute("SELECT tag, value FROM Cache")}


def keys_by_text(settings: Settings) -> dict[str, str]:
    with Catalogue.open(settings) as catalogue:
        return {phrase.text: phrase.key for phrase in catalogue.phrases()}


def upgrade(settings: Settings) -> None:
    store = server_store(settings)
    rename_old_keys(store)
    store.close()


def put_old(store: Store, text: str, value: bytes | None = None) -> str:
    """Keep a take of a text as an older Monica did, and return its old key."""
    fields = old_fields(metadata(text))
    key = old_key(fields)
    assert key is not None
    assert store.put(key, value or sound(text), json.dumps(fields, separators=(",", ":")))
    return key


def test_old_takes_are_renamed_once(old: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert keys_by_text(old) == OLD_KEYS
    upgrade(old)
    assert [record.message.split(" in ")[0] for record in caplog.records] == [
        "2 phrases of an older Monica renamed to new keys"
    ]
    caplog.clear()
    with Catalogue.open(old) as catalogue:
        phrases = {phrase.text: phrase for phrase in catalogue.phrases()}
        assert all(phrase.key == phrase.metadata().recipe.key for phrase in phrases.values())
        assert {text: catalogue.read_sound(phrase) for text, phrase in phrases.items()} == old_sounds()
        assert all(error is None for _, error in catalogue.verify_sounds())
    assert {phrase.key for phrase in phrases.values()}.isdisjoint(OLD_KEYS.values())
    assert [(phrases[text].pinned, phrases[text].hits) for text in ("Oui.", "Non.")] == [(True, 1), (False, 0)]
    assert phrases["Non."].metadata().recipe.params.exaggeration == 0.7
    upgrade(old)
    assert caplog.records == []


def test_new_database_is_not_searched_for_old_keys_again(settings: Settings) -> None:
    upgrade(settings)
    store = server_store(settings)
    assert store.database_version() == DATABASE_VERSION
    key = put_old(store, "Bonjour.")
    rename_old_keys(store)
    assert store.peek(key) == sound("Bonjour.")


def test_visitor_lists_verifies_and_exports_a_folder_that_was_not_renamed(
    old: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MONICA_CACHE_DIR", str(old.cache_dir))
    listed = CliRunner().invoke(main, ["cache", "ls", "--json"], catch_exceptions=False)
    assert {phrase["text"]: phrase["key"] for phrase in json.loads(listed.stdout)} == OLD_KEYS
    verified = CliRunner().invoke(main, ["cache", "verify"], catch_exceptions=False)
    assert (verified.exit_code, verified.stdout) == (0, "2 phrases read, 0 corrupt.\n")
    exported = CliRunner().invoke(main, ["cache", "export", str(tmp_path / "b.zip")], catch_exceptions=False)
    assert exported.stdout.startswith(f"{tmp_path / 'b.zip'}: 2 phrases,")
    assert keys_by_text(old) == OLD_KEYS
    upgrade(old)
    assert (tmp_path / "b.zip").read_bytes() == written(old)


def test_phrases_that_cannot_be_renamed_are_left_alone(settings: Settings) -> None:
    store = server_store(settings)
    fields = old_fields(metadata("Bonjour."))
    store.put("0" * 64, b"before metadata")
    store.put("1" * 64, sound("other"), json.dumps(fields))
    store.put("2" * 64, sound("other"), "[" * 1000)
    more = fields | {"params": fields["params"] | {"more": 1.0}}
    store.put("3" * 64, sound("other"), json.dumps(more))
    nested = json.dumps(fields).replace('"Bonjour."', "[" * 800 + "]" * 800)
    store.put("4" * 64, sound("other"), nested)
    today = keep(store, "Bonsoir.")
    before = set(kept(settings))
    rename_old_keys(store)
    assert set(kept(settings)) == before > {today}


def test_newer_take_stays_if_a_phrase_is_kept_under_both_keys(settings: Settings) -> None:
    store = server_store(settings)
    old_one = put_old(store, "Bonjour.", sound("another take"))
    store.pin([old_one])
    today = keep(store, "Bonjour.")
    rename_old_keys(store)
    assert kept(settings) == {today: sound("Bonjour.")}
    with Catalogue.open(settings) as catalogue:
        assert [phrase.pinned for phrase in catalogue.phrases()] == [True]


def test_kill_in_the_middle_loses_nothing(settings: Settings) -> None:
    store = server_store(settings)
    old_keys = {put_old(store, f"Phrase {number}.", sound("x", 0.1)) for number in range(50)}
    store.pin(old_keys)
    store.close()
    script = f"""
import os, signal
from pathlib import Path
from monica.store.cache import Store
from monica.store.disk import PinningCache
from monica.store.migration import rename_old_keys
store = Store("takes", Path({str(settings.cache_dir / "takes")!r}), megabytes=10)
execute, renamed = PinningCache.execute, []
def killed(self, statement, parameters=()):
    if statement.startswith("UPDATE"):
        renamed.append(parameters)
    if len(renamed) == 25:
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, statement, parameters)
PinningCache.execute = killed
rename_old_keys(store)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert set(kept(settings)) == old_keys
    upgrade(settings)
    with Catalogue.open(settings) as catalogue:
        phrases = catalogue.phrases()
    assert len(phrases) == 50
    assert all(phrase.pinned and phrase.key == phrase.metadata().recipe.key for phrase in phrases)


def test_disk_that_fails_is_logged(
    old: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> int:
        raise CacheError("database is locked")

    store = server_store(old)
    monkeypatch.setattr(Store, "rename_keys", fail)
    rename_old_keys(store)
    assert "cannot be renamed, and are made again when asked for (database is locked)" in caplog.text
    assert keys_by_text(old) == OLD_KEYS


def test_old_identity_is_read() -> None:
    identity = Identity.from_folder(FIXTURE)
    assert identity == Identity("espeak 1.52.0 fr", {"monica": "espeak 1.52.0 fr"}, "(2, -16.0, -1.0, True)")


def test_old_bundle_is_imported_under_todays_keys(old: Settings, tmp_path: Path) -> None:
    upgrade(old)
    elsewhere = replace(old, cache_dir=tmp_path / "elsewhere")
    with (FIXTURE / "phrases.monica").open("rb") as file, Catalogue.open(elsewhere, create=True) as catalogue:
        bundle = Bundle(file, 2**20)
        bundle.check_origin(Identity.from_folder(old.cache_dir))
        assert bundle.import_into(catalogue) == Imported(new=2, replaced=0, known=0)
        assert bundle.import_into(catalogue) == Imported(new=0, replaced=0, known=2)
    assert kept(elsewhere) == kept(old)
    assert keys_by_text(elsewhere) == keys_by_text(old)


@pytest.mark.parametrize("imported", [False, True])
def test_real_server_answers_from_what_an_old_one_kept(tmp_path: Path, imported: bool) -> None:
    """After an upgrade in place, and after an old bundle is imported into an empty cache."""
    folder = tmp_path / "cache"
    if not imported:
        shutil.copytree(FIXTURE, folder)
    settings = {"MONICA_ENGINE": "espeak", "GUNICORN_CMD_ARGS": "-c tests/support/old_espeak.py"}
    with Server(tmp_path, settings | {"MONICA_CACHE_DIR": str(folder)}) as server:
        server.wait_ready()
        if imported:
            answer = requests.post(
                f"{server.url}/v1/phrases/bundle",
                data=(FIXTURE / "phrases.monica").read_bytes(),
                headers=server.token() | {"Content-Type": "application/zip"},
                timeout=60,
            )
            assert answer.json() == {"new": 2, "replaced": 0, "known": 0}
        said = server.say("Oui.")
        assert said.headers["X-Monica-Cache"] == "hit"
        assert said.content == old_sounds()["Oui."]
        parameters = {"text": "Non.", "seed": 7, "exaggeration": 0.7}
        seeded = requests.post(f"{server.url}/blabla", json=parameters, timeout=60)
        assert seeded.headers["X-Monica-Cache"] == "hit"
        assert seeded.content == old_sounds()["Non."]
        key = said.headers["ETag"].strip('"')
        assert key not in OLD_KEYS.values()
        phrase = requests.get(f"{server.url}/v1/phrases/{key}", headers=server.token(), timeout=60).json()
        assert phrase["pinned"] is not imported
        assert ("2 phrases of an older Monica renamed" in server.log()) is not imported
        assert "Traceback" not in server.log()
