"""A server with phrases, and a browser in which someone has given the key, shared by all tests of the pages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from monica.config import Settings
from monica.store.catalogue import Catalogue
from monica.store.hearing import Hearing, Misheard, Verdict
from monica.store.side_takes import SideTakes
from tests.pages.visiting import BOOK, PHONE, PHRASES, call
from tests.support.server import Server
from tests.support.system import program
from tests.support.wire import until

expect.set_options(timeout=20_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Playwright runs an event loop in this thread, so that asyncio can run no other."""
    chromium = program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def monica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("evening")
    lexicon = folder / "lexicon.toml"
    lexicon.write_text("[names]\n")
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(folder / "cache"), "MONICA_LEXICON": str(lexicon)}
    with Server(folder, settings) as server:
        server.wait_ready()
        for text in PHRASES:
            assert server.say(text).status_code == 200
        yield server


@pytest.fixture
def context(browser: Browser, monica: Server) -> Iterator[BrowserContext]:
    """A browser in which someone has given the key, with an antenna that has nothing to do."""
    context = browser.new_context(locale="fr-FR", viewport=PHONE, base_url=monica.url)
    page = context.new_page()
    page.goto("/")
    page.fill("#cle", monica.token()["Authorization"].removeprefix("Bearer "))
    page.click("text=Entrer")
    expect(page.locator(".tile").first).to_be_visible()
    page.close()
    yield context
    context.close()
    call(monica, "POST", "/v1/antenna/stop")
    for cue in call(monica, "GET", "/v1/announcements")["queue"]:
        call(monica, "DELETE", f"/v1/announcements/{cue['id']}")
    call(monica, "POST", "/v1/antenna/resume")
    call(monica, "DELETE", "/v1/clock")


@pytest.fixture
def doubtful(monica: Server) -> Iterator[str]:
    """The key of a phrase that was listened to, with two takes: the kept one is doubtful, the other is good."""
    text = "La table sept attend Rusmir."
    key = monica.say(text).headers["ETag"].strip('"')
    other = monica.say("La table sept.").content
    settings = Settings(cache_dir=Path(monica.cache_setting["MONICA_CACHE_DIR"]))
    with Catalogue.open(settings) as catalogue, closing(SideTakes(settings.cache_dir, visiting=True)) as side_takes:
        phrase = catalogue.get(key)
        assert phrase is not None
        differences = (Misheard("sept", "douze", "number"), Misheard("Rusmir", "", "name"))
        heard = Hearing(Verdict.DOUBTFUL, phrase.sha256, "base", text, "La table douze attend.", None, differences)
        good = Hearing(Verdict.GOOD, hashlib.sha256(other).hexdigest(), "base", text, text, None, ())
        noted, kept = phrase.metadata(), catalogue.read_sound(phrase)
        assert catalogue.put(key, kept, replace(noted, heard=heard))
        assert side_takes.add(key, kept, replace(noted, heard=heard))
        assert side_takes.add(key, other, replace(noted, heard=good))
    yield key
    call(monica, "DELETE", f"/v1/phrases/{key}")


@pytest.fixture(scope="package")
def book(monica: Server) -> str:
    """The id of a book whose phrases have been made."""
    job: str = call(monica, "POST", "/v1/phrases/warm", {"name": "tournoi.toml", "book": BOOK})["id"]
    until(lambda: call(monica, "GET", f"/v1/jobs/{job}")["state"] == "done", 60)
    return job
