"""The board by groups and slots, pages of a large store, takes, the clock, and reasons in French, in a real browser."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.pages.visiting import MIXER, PHONE, PHRASES, call, visit
from tests.support.server import Server
from tests.support.wire import until


def texts_waiting(monica: Server) -> list[str]:
    return [cue["text"] for cue in call(monica, "GET", "/v1/announcements")["queue"]]


def test_a_group_of_a_book_is_a_board(context: BrowserContext, monica: Server, book: str) -> None:
    regie = visit(context, "/")
    regie.select_option("#group", f"{book}/1")
    tiles = regie.locator("#tiles > li")
    expect(tiles).to_have_count(2)
    expect(tiles.nth(0)).to_contain_text("à compléter")
    expect(tiles.nth(1)).to_contain_text("prête")
    regie.fill("#search", "CHAISE")
    expect(tiles).to_have_count(1)
    tiles.locator(".air").click()
    expect(tiles).to_contain_text("dans la file")
    assert texts_waiting(monica) == ["Une chaise de libre."]


def test_slots_are_filled_by_thumb_and_by_keyboard(context: BrowserContext, monica: Server, book: str) -> None:
    regie = visit(context, "/")
    regie.select_option("#group", f"{book}/1")
    regie.locator("#tiles .air").first.click()
    values = regie.locator("#slots-values button")
    expect(values).to_have_text(["Ana", "Bo", "Chloé"])
    expect(regie.locator("#slots-air")).to_be_disabled()
    values.nth(1).click()
    expect(values).to_have_text(["Ana", "Chloé"])  # no one knocks out himself
    regie.keyboard.type("chlo")
    expect(values).to_have_text(["Chloé"])
    regie.keyboard.press("Enter")
    expect(regie.locator("#slots-text")).to_have_text("Bo élimine Chloé !")
    shown = "[...document.querySelectorAll('dialog[open] button')].filter((e) => e.offsetParent)"
    assert min(regie.evaluate(f"{shown}.map((e) => e.offsetHeight)")) >= 48
    assert regie.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    expect(regie.locator("#slots-air")).to_be_focused()
    regie.click("#slots >> text=STOP")  # it is in sight here too
    until(lambda: call(monica, "GET", "/v1/announcements")["held"])
    call(monica, "POST", "/v1/antenna/resume")
    regie.focus("#slots-air")
    regie.keyboard.press("Enter")
    expect(regie.locator("#slots")).to_be_hidden()
    until(lambda: texts_waiting(monica) == ["Bo élimine Chloé !"])
    made = call(monica, "GET", "/v1/announcements")["queue"][0]
    until(lambda: call(monica, "GET", f"/v1/announcements/{made['id']}")["state"] == "ready")


@pytest.fixture
def large_store(monica: Server) -> Iterator[int]:
    """Two hundred more kept phrases, as rows of the store; what they sound like is never asked."""
    file = Path(monica.cache_setting["MONICA_CACHE_DIR"]) / "takes" / "cache.db"
    clone = """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
        INSERT INTO Cache (key, raw, store_time, access_time, access_count, tag, size, mode, value)
        SELECT 'c10e' || printf('%060x', i), 1, 9e9 + i, 9e9, 0,
               substr(tag, 1, 65) || json_object('text', 'Copie ' || i, 'made', 9e9 + i), 0, 1, x'00'
        FROM n, (SELECT tag FROM Cache WHERE length(tag) > 65 LIMIT 1)
    """
    database = sqlite3.connect(file, timeout=30)
    with database:
        database.execute(clone)
    yield 200
    with database:
        database.execute("DELETE FROM Cache WHERE key LIKE 'c10e%'")
    database.close()


def test_a_large_store_is_shown_in_pages(context: BrowserContext, large_store: int) -> None:
    regie = visit(context, "/")
    tiles = regie.locator("#tiles > li")
    expect(tiles).to_have_count(60)
    expect(tiles.first).to_contain_text(f"Copie {large_store}")
    expect(regie.locator("#page")).to_contain_text("1 à 60 sur 2")
    expect(regie.locator("#page-back")).to_be_disabled()
    regie.click("#page-on")
    expect(tiles.first).to_contain_text(f"Copie {large_store - 60}")
    expect(tiles).to_have_count(60)
    regie.fill("#search", "copie 7")
    expect(regie.locator("#pages")).to_be_hidden()
    expect(tiles).to_have_count(11)
    regie.fill("#search", "")
    expect(regie.locator("#page")).to_contain_text("1 à 60")


def test_pinned_phrases_have_a_group(context: BrowserContext, monica: Server) -> None:
    key = monica.say(PHRASES[2]).headers["ETag"].strip('"')
    call(monica, "PUT", f"/v1/phrases/{key}/pin")
    regie = visit(context, "/")
    regie.select_option("#group", "pinned")
    expect(regie.locator("#tiles > li")).to_have_count(1)
    expect(regie.locator("#tiles > li")).to_contain_text(PHRASES[2])
    call(monica, "DELETE", f"/v1/phrases/{key}/pin")


def said_once(context: BrowserContext, text: str) -> Page:
    """Open the history after a phrase was said."""
    room = visit(context, "/salle", MIXER)
    expect(room.locator("#role")).to_have_text("Cette page diffuse")
    regie = visit(context, "/")
    regie.click(f".tile >> text={text}")
    regie.click("#tab-history")
    expect(regie.locator("#ended > li").first).to_contain_text(text)
    return regie


def test_takes_are_made_heard_and_kept(context: BrowserContext, monica: Server) -> None:
    """The embedded voice says a text the same way each time, so the takes are another phrase's."""
    regie = said_once(context, PHRASES[0])
    regie.get_by_label(f"Refaire : {PHRASES[0]}").first.click()
    regie.click("#takes-more")
    expect(regie.locator("#takes-trouble")).to_have_text("Cette phrase ne peut pas être refaite autrement.")
    key = monica.say(PHRASES[0]).headers["ETag"].strip('"')
    asked: list[str] = []
    made: list[dict[str, object]] = []

    def answer(route: Route) -> None:
        made.append({"number": len(made) + 1, "kept": not made, "seconds": 1.5, "hearing": None})
        body = {"key": key, "text": PHRASES[0], "kept": True, "pinned": False, "hearing": None, "takes": made}
        route.fulfill(status=201, content_type="application/json", body=json.dumps(body))

    def keep(route: Route) -> None:
        asked.append(route.request.url.rpartition("/v1/phrases/")[2])
        route.fulfill(status=200, content_type="application/json", body="{}")

    regie.route("**/v1/phrases/*/takes", answer)
    regie.route("**/v1/phrases/*/keep*", keep)
    regie.click("#takes-more")
    regie.click("#takes-more")
    expect(regie.locator("#takes-list li")).to_have_count(2)
    regie.get_by_label("Garder : Prise 2").click()
    expect(regie.locator("#takes")).to_be_hidden()
    assert asked == [f"{key}/keep?take=2"]
    regie.get_by_label(f"Épingler : {PHRASES[0]}").first.click()
    until(lambda: call(monica, "GET", f"/v1/phrases/{key}")["pinned"])
    call(monica, "DELETE", f"/v1/phrases/{key}/pin")


def test_a_doubtful_phrase_is_heard_and_a_take_of_it_kept(
    context: BrowserContext, monica: Server, doubtful: str
) -> None:
    regie = visit(context, "/")
    expect(regie.locator("#doubtful")).to_have_text("1")
    regie.click("#tab-review")
    expect(regie.locator("#doubts mark")).to_have_text(["sept (entendu : douze)", "Rusmir (pas entendu)"])
    expect(regie.locator("#doubts .takes li")).to_contain_text(["douteuse : « La table douze attend. »", "bonne"])
    with regie.expect_response("**/takes/2/audio"):
        regie.get_by_label("Écouter : Prise 2").click()
    regie.click("#doubts >> text=Une autre prise")  # the embedded voice has no other
    expect(regie.locator("#notice")).to_have_text("Cette phrase ne peut pas être refaite autrement.")
    regie.click("#doubts >> text=Épingler")
    expect(regie.locator("#doubts")).to_contain_text("Désépingler")
    regie.get_by_label("Garder : Prise 2").click()
    expect(regie.locator("#no-doubts")).to_be_visible()
    expect(regie.locator("#doubtful")).to_have_text("")
    kept = call(monica, "GET", f"/v1/phrases/{doubtful}/takes")
    assert (kept["pinned"], kept["hearing"]["verdict"], kept["hearing"]["heard"]) == (
        True, "good", "La table sept attend Rusmir.",
    )  # fmt: skip


def test_the_clock_is_set_started_and_moved_by_thumb(context: BrowserContext, monica: Server, book: str) -> None:
    room = visit(context, "/salle", MIXER)
    expect(room.locator("#role")).to_have_text("Cette page diffuse")
    regie = visit(context, "/")
    regie.click("#tab-clock")
    expect(regie.locator("#clock-running")).to_be_hidden()
    regie.select_option("#clock-book", book)
    regie.click("text=Régler l’horloge")
    expect(regie.locator("#clock-time")).to_have_text("20:00")
    expect(regie.locator("#clock-state")).to_have_text("Niveau 1, 1 sur 2, en pause")
    regie.click("#clock-start")
    expect(regie.locator("#on-air")).to_have_text("Les blinds sont à 10/20.")
    expect(regie.locator("#clock-next")).to_have_text("Ensuite : Les blinds sont à 20/40.")
    for _ in range(15):
        regie.click("#clock-less")
    expect(regie.locator("#clock-time")).to_have_text(re.compile(r"^4:\d\d$"))
    regie.click("#clock-start")
    expect(regie.locator("#clock-state")).to_contain_text("en pause")
    regie.click("#clock-on")
    expect(regie.locator("#clock-sign")).to_contain_text("Niveau 2 · 20:00")
    regie.once("dialog", lambda dialog: dialog.accept())
    regie.click("#clock-off")
    expect(regie.locator("#clock-running")).to_be_hidden()


def test_reasons_are_in_french(context: BrowserContext, monica: Server) -> None:
    call(monica, "POST", "/v1/announcements", {"text": "Trop tard.", "expires_s": 1})
    regie = visit(context, "/")
    regie.click("#tab-history")
    expect(regie.locator("#ended > li").first).to_contain_text("Le moment est passé avant qu’elle ne puisse être dite.")
    regie.click("#tab-warming")
    regie.fill("#book", '[[phrases]]\ntext = "🂡"\n')
    regie.click("#book-form >> text=Préparer")
    expect(regie.locator("#notice")).to_contain_text("Le répertoire contient une faute")


def test_nothing_is_asked_again_and_again(context: BrowserContext) -> None:
    """Health and jobs come as events."""
    regie = visit(context, "/")
    expect(regie.locator("#health")).to_have_text("Monica va bien")
    expect(regie.locator("#tiles > li").first).to_be_visible()
    regie.wait_for_load_state("networkidle")
    asked: list[str] = []
    regie.on("request", lambda request: asked.append(request.url))
    regie.clock.install()
    regie.clock.run_for(60_000)
    assert asked == []
