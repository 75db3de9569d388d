"""What the tests of the pages do again and again."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from tests.support.server import Server

PHONE: ViewportSize = {"width": 360, "height": 740}
MIXER: ViewportSize = {"width": 1280, "height": 720}
TABS = ("board", "free", "queue", "history", "clock", "names", "review", "warming")
PHRASES = ("Bonne chance à tous !", "La pause est terminée.", "Table finale.")
BOOK = """
[rosters]
players = ["Ana", "Bo", "Chloé"]
levels = [{ small = 10, big = 20, minutes = 20 }, { small = 20, big = 40, minutes = 20 }]

[[phrases]]
group = "Niveaux"
text = "Les blinds sont à {level.small}/{level.big}."
level = "levels"

[[phrases]]
group = "Éliminations"
text = ["{killer} élimine {victim} !", "Une chaise de libre."]
killer = "players"
victim = "players"
"""


def call(server: Server, method: str, path: str, body: object = None) -> Any:
    answer = requests.request(method, server.url + path, json=body, headers=server.token(), timeout=30)
    assert answer.ok, answer.text
    return answer.json()


def visit(context: BrowserContext, path: str, size: ViewportSize = PHONE) -> Page:
    """Open a page whose console must stay empty."""
    page = context.new_page()
    page.set_viewport_size(size)
    page.on("pageerror", lambda error: pytest.fail(f"{path}: {error}"))
    page.goto(path)
    expect(page.locator("#link")).to_have_text("Connectée")
    return page
