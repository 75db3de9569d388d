"""The pictures of the pages: python -m tests.pages.pictures [FOLDER]

They are made from a real server with the embedded voice, as it looks in the middle of an evening: two for docs/, and,
if a folder is named, one there of every section on a small phone.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import requests
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.pages.visiting import PHONE, TABS, call
from tests.support.server import ROOT, Server
from tests.support.system import program
from tests.support.wire import until

PHRASES = (
    "Bonne chance à tous !",
    "Les blindes passent à 200/400.",
    "La pause est terminée, regagnez vos places.",
    "Table finale : il reste neuf joueurs.",
    "Pablo vient de se faire éliminer par Rusmir !",
)
WAITING = ("Il reste douze joueurs.", "Le bar ferme à une heure.")
BOOK = ROOT / "examples" / "bourly-poker-tour.toml"


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(folder / "cache")}
    with Server(folder, settings) as server, sync_playwright() as playwright:
        server.wait_ready()
        for text in PHRASES:
            server.say(text)
        browser = playwright.chromium.launch(
            executable_path=program("chromium"), args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        context = browser.new_context(locale="fr-FR", base_url=server.url)
        regie, room = context.new_page(), context.new_page()
        regie.set_viewport_size({"width": 390, "height": 844})
        room.set_viewport_size({"width": 1280, "height": 720})
        regie.goto("/")
        regie.fill("#cle", server.token()["Authorization"].removeprefix("Bearer "))
        regie.click("text=Entrer")
        room.goto("/salle")
        room.get_by_text("Cette page diffuse").wait_for()
        for text in WAITING:
            body = {"text": text, "priority": "ambient", "hold": True}
            requests.post(f"{server.url}/v1/announcements", json=body, headers=server.token(), timeout=30)
        body = {"text": PHRASES[-1], "chime": "ding-dong"}
        requests.post(f"{server.url}/v1/announcements", json=body, headers=server.token(), timeout=30)
        room.get_by_text(PHRASES[-1]).wait_for()
        room.wait_for_timeout(1500)
        (ROOT / "docs/pictures").mkdir(exist_ok=True)
        regie.screenshot(path=ROOT / "docs/pictures/regie.png")
        room.screenshot(path=ROOT / "docs/pictures/salle.png")
        if len(sys.argv) > 1:
            take_all(context, server, Path(sys.argv[1]))
        browser.close()


def take_all(context: BrowserContext, server: Server, folder: Path) -> None:
    """Take a picture of every section and dialog of the régie on a small phone."""
    folder.mkdir(exist_ok=True)
    job = call(server, "POST", "/v1/phrases/warm", {"name": BOOK.name, "book": BOOK.read_text()})["id"]
    until(lambda: call(server, "GET", f"/v1/jobs/{job}")["made"] > 20)
    call(server, "PUT", "/v1/clock", {"job": job})
    call(server, "POST", "/v1/clock/start")
    page: Page = context.new_page()
    page.set_viewport_size(PHONE)
    page.goto("/")
    page.locator(f"#group option[value='{job}/3']").wait_for(state="attached")
    for tab in TABS:
        page.click(f"#tab-{tab}")
        page.wait_for_timeout(500)
        page.screenshot(path=folder / f"{tab}.png")
    page.click("#tab-history")
    page.locator("text=Refaire").first.click()
    page.screenshot(path=folder / "takes.png")
    page.click("#takes-close")
    page.click("#tab-board")
    page.select_option("#group", f"{job}/3")
    page.wait_for_timeout(500)
    page.screenshot(path=folder / "group.png")
    page.locator("#tiles .air").first.click()
    page.locator("#slots-values button").nth(3).click()
    page.screenshot(path=folder / "slots.png")


if __name__ == "__main__":
    main()
