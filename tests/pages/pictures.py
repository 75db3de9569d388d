"""The pictures of the pages in docs/: python -m tests.pages.pictures

They are made from a real server with the embedded voice, as it looks in the middle of an evening.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import requests
from playwright.sync_api import sync_playwright

from tests.support.server import ROOT, Server
from tests.support.system import program

PHRASES = (
    "Bonne chance à tous !",
    "Les blindes passent à 200/400.",
    "La pause est terminée, regagnez vos places.",
    "Table finale : il reste neuf joueurs.",
    "Pablo vient de se faire éliminer par Rusmir !",
)
WAITING = ("Il reste douze joueurs.", "Le bar ferme à une heure.")


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
        browser.close()


if __name__ == "__main__":
    main()
