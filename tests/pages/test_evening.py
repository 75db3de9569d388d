"""An evening on the pages, in a real browser: a director with a phone, a tab at the mixer, and what goes wrong."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.pages.visiting import MIXER, PHONE, PHRASES, TABS, call, visit
from tests.support.server import ROOT, Server
from tests.support.system import REQUIRED
from tests.support.wire import until

AXE = ROOT / "tests/clients/node/node_modules/axe-core/axe.min.js"
LONG = "Le tournoi reprend dans cinq minutes, regagnez vos places, les retardataires seront éliminés sans appel."


def test_a_tap_puts_a_phrase_on_air_and_the_room_plays_it(context: BrowserContext, monica: Server) -> None:
    regie = visit(context, "/")
    expect(regie.locator("#speaker")).to_have_text("Aucun haut-parleur")
    room = visit(context, "/salle", MIXER)
    expect(room.locator("#role")).to_have_text("Cette page diffuse")
    expect(regie.locator("#speaker")).to_have_text("Haut-parleur : La salle")
    regie.click(f".tile >> text={PHRASES[0]}")
    expect(regie.locator("#on-air")).to_have_text(PHRASES[0])
    expect(room.locator("#sentence")).to_have_text(PHRASES[0])
    expect(regie.locator("#on-air")).to_have_text("Rien à l’antenne")
    expect(regie.locator(".tile", has_text=PHRASES[0]).locator("small")).to_contain_text("dite à")
    (last,) = call(monica, "GET", "/v1/announcements?history=1")["history"]
    assert (last["state"], last["interruptions"], last["text"]) == ("done", 0, PHRASES[0])
    assert last["ended"] - last["begun"] >= 0.8 * last["duration_s"]  # it was played, not skipped


def test_urgent_overtakes_and_stop_means_silence(context: BrowserContext, monica: Server) -> None:
    room = visit(context, "/salle", MIXER)
    regie = visit(context, "/")
    for text in (LONG, PHRASES[1]):
        call(monica, "POST", "/v1/announcements", {"text": text})
    expect(regie.locator("#on-air")).to_have_text(LONG)
    regie.click("#tab-free")
    regie.fill("#text", "Évacuez la salle.")
    expect(regie.locator("#said")).to_contain_text("Évacuez la salle")
    regie.select_option("#priority", "urgent")
    regie.click("#free-form >> text=À l’antenne")
    regie.click("#tab-queue")
    expect(regie.locator("#cues > li p:first-child")).to_have_text(["Évacuez la salle.", PHRASES[1]])
    expect(regie.locator("#on-air")).to_have_text(LONG)  # it overtakes, and does not interrupt
    regie.click("#stop")
    expect(regie.locator("#on-air")).to_have_text("File suspendue")
    expect(room.locator("#sentence")).to_have_text("")
    regie.click("text=Reprendre")
    expect(room.locator("#sentence")).to_have_text("Évacuez la salle.")
    regie.click("#skip")
    expect(room.locator("#sentence")).to_have_text(PHRASES[1])
    regie.click("#tab-history")
    expect(regie.locator("#ended > li").first).to_contain_text(PHRASES[1])
    regie.locator("#ended > li").first.get_by_text("Redire").click()
    expect(room.locator("#sentence")).to_have_text(PHRASES[1])


def test_the_queue_is_moved_held_and_emptied_by_thumb(context: BrowserContext, monica: Server) -> None:
    regie = visit(context, "/")
    for text in ("Un.", "Deux.", "Trois."):
        call(monica, "POST", "/v1/announcements", {"text": text})
    regie.click("#tab-queue")
    cues = regie.locator("#cues > li")
    expect(cues).to_have_count(3)
    regie.get_by_label("Monter : Deux.").click()
    expect(cues.locator("p:first-child")).to_have_text(["Deux.", "Un.", "Trois."])
    regie.get_by_label("Retenir : Deux.").click()
    expect(cues.first).to_contain_text("retenue")
    regie.get_by_label("Libérer : Deux.").click()
    expect(cues.first).not_to_contain_text("retenue")
    regie.get_by_label("Retirer : Un.").click()
    expect(cues).to_have_count(2)


def test_a_locked_page_takes_no_tap_but_stop(context: BrowserContext, monica: Server) -> None:
    regie = visit(context, "/")
    regie.click("#lock")
    regie.click(f".tile >> text={PHRASES[0]}")
    expect(regie.locator("#notice")).to_have_text("La page est verrouillée.")
    assert call(monica, "GET", "/v1/announcements")["queue"] == []
    regie.click("#stop")
    until(lambda: call(monica, "GET", "/v1/announcements")["held"])
    regie.click("#lock")
    regie.click("#hold")
    until(lambda: not call(monica, "GET", "/v1/announcements")["held"])


def test_two_directors_see_the_same(context: BrowserContext) -> None:
    one, two = visit(context, "/"), visit(context, "/")
    one.click(f".tile >> text={PHRASES[2]}")
    expect(two.locator("#waiting")).to_have_text("1")
    two.click("#tab-queue")
    two.get_by_label(f"Retirer : {PHRASES[2]}").click()
    expect(one.locator("#waiting")).to_have_text("")


def test_offline_and_back(context: BrowserContext, monica: Server) -> None:
    regie = visit(context, "/")
    context.set_offline(True)
    regie.click(f".tile >> text={PHRASES[0]}")
    expect(regie.locator("#notice")).to_contain_text("rien n’a été envoyé")
    context.set_offline(False)
    call(monica, "POST", "/v1/announcements", {"text": "Pendant l'absence.", "hold": True})
    regie.click("#tab-queue")
    expect(regie.locator("#cues > li")).to_contain_text("Pendant l'absence.")
    expect(regie.locator("#link")).to_have_text("Connectée")


def test_a_tab_that_is_killed_in_the_middle_is_replaced_by_another(context: BrowserContext, monica: Server) -> None:
    room = visit(context, "/salle", MIXER)
    expect(room.locator("#role")).to_have_text("Cette page diffuse")
    reserve = visit(context, "/salle", MIXER)
    expect(reserve.locator("#role")).to_have_text("En réserve : une autre page diffuse")
    cue = call(monica, "POST", "/v1/announcements", {"text": LONG})["id"]
    until(lambda: (call(monica, "GET", "/v1/announcements")["on_air"] or {}).get("id") == cue)
    room.close()
    expect(reserve.locator("#role")).to_have_text("Cette page diffuse")
    # Its end is awaited: the tab might have been cut off from the network only, and still be playing.
    until(lambda: call(monica, "GET", f"/v1/announcements/{cue}")["interruptions"] == 1, 60)
    until(lambda: (call(monica, "GET", "/v1/announcements")["on_air"] or {}).get("id") == cue)
    call(monica, "POST", "/v1/antenna/skip")


def test_a_tab_that_is_duplicated_or_loaded_again(context: BrowserContext) -> None:
    room = visit(context, "/salle", MIXER)
    expect(room.locator("#role")).to_have_text("Cette page diffuse")
    own = room.evaluate("sessionStorage.monicaSpeaker")
    twin = visit(context, "/salle", MIXER)
    twin.evaluate("(id) => { sessionStorage.monicaSpeaker = id }", own)  # as a browser does that duplicates a tab
    twin.reload()
    expect(twin.locator("#role")).to_have_text("En réserve : une autre page diffuse")
    assert twin.evaluate("sessionStorage.monicaSpeaker") != own
    twin.close()
    room.reload()
    expect(room.locator("#role")).to_have_text("Cette page diffuse")
    assert room.evaluate("sessionStorage.monicaSpeaker") == own


def test_a_name_is_corrected_and_its_phrases_are_made_again(context: BrowserContext, monica: Server) -> None:
    key = monica.say("Rusmir paie.").headers["ETag"].strip('"')
    regie = visit(context, "/")
    regie.click("#tab-names")
    regie.fill("#written", "Rusmir")
    regie.fill("#spoken", "Rousmire")
    regie.click("text=Retenir")
    expect(regie.locator("#entries > li")).to_contain_text("Rousmire")
    expect(regie.locator("#affected-count")).to_have_text("Une phrase gardée se dit maintenant autrement.")
    regie.click("#remake")
    expect(regie.locator("#affected")).to_be_hidden()
    assert monica.say("Rusmir paie.").headers["X-Monica-Cache"] == "hit"
    kept = call(monica, "GET", "/v1/phrases?search=Rusmir")["phrases"]
    assert [phrase["key"] == key for phrase in kept if phrase["text"] == "Rusmir paie."] == [False]
    regie.get_by_label("Oublier : Rusmir").click()
    expect(regie.locator("#entries > li")).to_have_count(0)


def test_a_book_is_estimated_and_made(context: BrowserContext, monica: Server) -> None:
    regie = visit(context, "/")
    regie.click("#tab-warming")
    regie.fill("#book", "nothing of the kind")
    regie.click("#dry-run")
    expect(regie.locator("#notice")).to_contain_text("Le répertoire contient une faute : ")
    expect(regie.locator("#notice")).to_contain_text("ligne 1")
    regie.fill("#book", '[[phrases]]\ntext = "Le chip leader est connu."\n\n[[phrases]]\ntext = "Pause."\n')
    regie.click("#dry-run")
    expect(regie.locator("#estimate")).to_contain_text("2 phrases")
    regie.click("#book-form >> text=Préparer")
    expect(regie.locator("#jobs > li").first).to_contain_text("finie")
    expect(regie.locator("#jobs > li").first).to_contain_text("2 sur 2")
    regie.click("#tab-board")
    expect(regie.locator(".tile", has_text="Le chip leader est connu.")).to_be_visible()


def test_text_is_text_wherever_it_is_shown(context: BrowserContext, monica: Server) -> None:
    regie = visit(context, "/")
    evil = "<img src=x onerror=alert(1)><b>Rusmir</b> mise."
    call(monica, "POST", "/v1/announcements", {"text": evil, "hold": True})
    regie.click("#tab-queue")
    expect(regie.locator("#cues p").first).to_have_text(evil)
    assert regie.locator("#cues img, #cues b").count() == 0


def test_pages_have_no_fault_of_access(context: BrowserContext, monica: Server, book: str, doubtful: str) -> None:
    if not AXE.exists():
        if REQUIRED:
            pytest.fail("axe-core is not installed: npm ci --prefix tests/clients/node")
        pytest.skip("axe-core is not installed: npm ci --prefix tests/clients/node")
    call(monica, "POST", "/v1/announcements", {"text": "Retenue.", "hold": True})
    regie, room = visit(context, "/"), visit(context, "/salle", MIXER)
    for page, tabs in ((regie, TABS), (room, ())):
        page.evaluate(AXE.read_text())
        for tab in tabs or (None,):
            if tab is not None:
                page.click(f"#tab-{tab}")
            faultless(page)
    regie.click("#tab-board")
    regie.select_option("#group", f"{book}/1")
    regie.locator("#tiles .air").first.click()
    faultless(regie)
    regie.click("#slots-close")
    regie.click("#tab-clock")
    regie.select_option("#clock-book", book)
    regie.click("text=Régler l’horloge")
    expect(regie.locator("#clock-running")).to_be_visible()
    faultless(regie)


def faultless(page: Page) -> None:
    found = page.evaluate("async () => (await axe.run()).violations")
    assert found == [], json.dumps([(each["id"], each["nodes"][0]["html"]) for each in found], indent=1)


def test_targets_are_as_large_as_a_thumb(context: BrowserContext, monica: Server, doubtful: str) -> None:
    call(monica, "POST", "/v1/announcements", {"text": "Retenue.", "hold": True})
    regie = visit(context, "/")
    for tab in TABS:
        regie.click(f"#tab-{tab}")
        boxes = regie.evaluate(
            "[...document.querySelectorAll('button, a, input, select')].filter((e) => e.offsetParent)"
            ".map((e) => [e.id || e.textContent, e.getBoundingClientRect().height])"
        )
        assert [box for box in boxes if box[1] < 48] == []
        assert regie.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_keyboard_alone_is_enough(context: BrowserContext, monica: Server) -> None:
    regie = visit(context, "/", MIXER)
    expect(regie.locator("#tiles > li").first).to_be_visible()
    regie.keyboard.press("1")
    expect(regie.locator("#waiting")).to_have_text("1")
    regie.focus("#tab-board")
    regie.keyboard.press("ArrowRight")
    expect(regie.locator("#free")).to_be_visible()
    regie.focus("#text")
    regie.keyboard.type("1")  # a digit in a text is no hot key
    assert len(call(monica, "GET", "/v1/announcements")["queue"]) == 1


def test_an_expired_session_says_so(context: BrowserContext) -> None:
    regie = visit(context, "/")
    context.clear_cookies()
    regie.click(f".tile >> text={PHRASES[0]}")
    expect(regie.locator("#notice")).to_have_text(re.compile("session a expiré"))
