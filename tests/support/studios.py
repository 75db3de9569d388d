"""Studios in this process, which say tones; they are lost, and do not come up, as a test likes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from monica.render.rendering import StudioLost, StudioRefused
from monica.render.studio import Opened, Rendered
from monica.store.bundle import Bundle
from monica.store.bundled_phrase import BundledPhrase
from monica.warming.book import Phrase
from monica.warming.job import Failure
from tests.support.kept import IDENTITY, metadata, sound

SECONDS = 0.1
SIZE = 44 + 2 * 800


class FakeStudio:
    """Says a tone. is_lost: whether its process ends at a phrase."""

    opened = Opened(3, IDENTITY, False)

    def __init__(self, is_lost: Callable[[str], bool] = lambda text: False) -> None:
        self._is_lost = is_lost
        self._lost = False
        self.made: list[str] = []

    async def keys(self, phrases: list[Phrase]) -> list[str | Failure]:
        await self._live("")
        return [
            Failure(phrase.text, "text_too_long", "It is too long.")
            if phrase.text.startswith("Trop")
            else metadata(phrase.text).recipe.key
            for phrase in phrases
        ]

    async def make(self, phrase: Phrase) -> Rendered | Failure:
        await self._live(phrase.text)
        self.made.append(phrase.text)
        wav = sound(phrase.text, SECONDS)
        return Rendered(BundledPhrase.from_sound(metadata(phrase.text, SECONDS), wav), wav, False)

    def dismiss(self) -> None:
        self._lost = True

    async def _live(self, text: str) -> None:
        await asyncio.sleep(0)
        self._lost = self._lost or self._is_lost(text)
        if self._lost:
            raise StudioLost("killed")


class Studios:
    """Hires one studio after the other. refused: how many do not come up first."""

    def __init__(self, is_lost: Callable[[str], bool] = lambda text: False, refused: int = 0) -> None:
        self._is_lost = is_lost
        self.refused = refused
        self.hired: list[FakeStudio] = []

    async def hire(self) -> FakeStudio:
        await asyncio.sleep(0)
        if self.refused:
            self.refused -= 1
            raise StudioRefused("no")
        self.hired.append(FakeStudio(self._is_lost))
        return self.hired[-1]

    @property
    def made(self) -> Counter[str]:
        return Counter(text for studio in self.hired for text in studio.made)


def on_shelf(folder: Path) -> Counter[str]:
    """Count the phrases in the bundles by their texts. Every bundle is in order."""
    found: Counter[str] = Counter()
    for path in folder.glob("*.zip"):
        with path.open("rb") as file:
            bundle = Bundle(file, 2**26)
            for phrase in bundle.phrases:
                text = phrase.metadata.recipe.text
                assert phrase == BundledPhrase.from_sound(phrase.metadata, sound(text, SECONDS))
                found[text] += 1
    return found
