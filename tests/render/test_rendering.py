"""A render with studios in this process: they are lost, do not come up, and every phrase is there once all the same."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from pathlib import Path
from zipfile import ZipFile

import pytest

from monica.render import rendering
from monica.render.rendering import MAX_LOSSES, MAX_REFUSALS, Rendering, StudioRefused
from monica.render.shelf import Shelf
from monica.store.bundled_phrase import MANIFEST, BundledPhrase
from monica.warming.book import PhraseBook
from monica.warming.job import Failure, Job, JobSource
from monica.warming.making import SPARE_WORKERS
from tests.support.kept import metadata, sound
from tests.support.studios import SECONDS, SIZE, FakeStudio, Studios, on_shelf

TEXTS = [f"Table {number}, à vos places." for number in range(700)]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "REFUSED_S", 0)


def render(folder: Path, studios: Studios, texts: list[str] = TEXTS, workers: int = 3, stop_after: int = 0) -> Job:
    """Render texts. stop_after: as soon as so many are made."""
    book = PhraseBook.from_texts(texts)
    job = Job("", JobSource("book"), book.count(), time.time())
    shelf = Shelf(folder, 100 * SIZE)

    async def run() -> None:
        making = asyncio.create_task(Rendering(book, shelf, job, studios.hire, lambda _: None).run(workers))
        while stop_after and job.made < stop_after:
            await asyncio.sleep(0)
        if stop_after:
            making.cancel()
        with suppress(asyncio.CancelledError):
            await making

    try:
        asyncio.run(run())
    finally:
        shelf.close()
    return job


def test_every_phrase_is_made_once_though_studios_are_lost(tmp_path: Path) -> None:
    draw = random.Random(7)
    studios = Studios(lambda text: draw.random() < 0.02)
    job = render(tmp_path, studios)
    assert len(studios.hired) > 6
    assert (job.made, job.failed, job.left) == (700, 0, 0)
    assert on_shelf(tmp_path) == dict.fromkeys(TEXTS, 1)
    assert sorted(path.name for path in tmp_path.glob("*.zip"))[-1] == "000007.zip"


def test_the_last_phrase_is_not_lost_with_its_studio(tmp_path: Path) -> None:
    last = [TEXTS[-1]]
    job = render(tmp_path, Studios(lambda text: bool(last) and text == last[0] and bool(last.pop())))
    assert (job.made, job.left) == (700, 0)
    assert on_shelf(tmp_path) == dict.fromkeys(TEXTS, 1)


def test_a_render_that_was_stopped_goes_on(tmp_path: Path) -> None:
    assert 0 < render(tmp_path, Studios(), stop_after=150).made < 700
    before = on_shelf(tmp_path)
    again = Studios()
    job = render(tmp_path, again)
    assert (job.cached, job.made) == (len(before), 700 - len(before))
    assert not again.made.keys() & before.keys()
    assert on_shelf(tmp_path) == dict.fromkeys(TEXTS, 1)


def test_what_was_being_written_when_the_driver_was_killed_is_made_again(tmp_path: Path) -> None:
    render(tmp_path, Studios())
    last = tmp_path / "000007.zip"
    (tmp_path / "bundle.part").write_bytes(last.read_bytes()[:500])
    with ZipFile(last) as bundle:
        lost = len(bundle.namelist()) - 1
    last.unlink()
    assert render(tmp_path, Studios()).made == lost > 0
    assert on_shelf(tmp_path) == dict.fromkeys(TEXTS, 1)


def test_repeats_are_made_once_and_what_cannot_be_said_is_told(tmp_path: Path) -> None:
    studios = Studios()
    job = render(tmp_path, studios, [TEXTS[0], *TEXTS[:300], "Trop long.", *TEXTS[:300]])
    assert (job.made, job.cached, job.failed, job.left) == (300, 301, 1, 0)
    assert job.failures == [Failure("Trop long.", "text_too_long", "It is too long.")]
    assert studios.made == dict.fromkeys(TEXTS[:300], 1)


def test_a_phrase_that_ends_every_studio_fails_alone(tmp_path: Path) -> None:
    studios = Studios(lambda text: text == "Table 3, à vos places.")
    job = render(tmp_path, studios, workers=1)
    assert [failure.code for failure in job.failures if failure.text == "Table 3, à vos places."] == ["studio_lost"]
    assert len(studios.hired) <= MAX_LOSSES + 1
    assert job.made >= 700 - FakeStudio.opened.slots - SPARE_WORKERS
    assert job.made + job.failed == 700


def test_studios_that_do_not_come_up_are_started_again(tmp_path: Path) -> None:
    assert render(tmp_path, Studios(refused=MAX_REFUSALS - 1), workers=1).made == 700


def test_a_render_ends_if_no_studio_comes_up(tmp_path: Path) -> None:
    with pytest.raises(StudioRefused):
        render(tmp_path, Studios(refused=100))


def test_a_studio_that_never_comes_up_is_not_waited_for(tmp_path: Path) -> None:
    class Pending(Studios):
        async def hire(self) -> FakeStudio:
            if self.hired:
                await asyncio.Event().wait()
            return await super().hire()

    assert render(tmp_path, Pending()).made == 700


def test_a_bundle_that_is_not_whole_is_set_aside(tmp_path: Path) -> None:
    render(tmp_path, Studios())
    first = tmp_path / "000001.zip"
    first.write_bytes(first.read_bytes()[:-30])
    shelf = Shelf(tmp_path, 100 * SIZE)
    shelf.close()
    assert shelf.set_aside == ["000001.zip"]
    assert render(tmp_path, Studios()).made == 100
    assert on_shelf(tmp_path) == dict.fromkeys(TEXTS, 1)
    assert (tmp_path / "000001.corrupt").exists()


def test_bundles_are_bounded(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 3 * SIZE)
    for text, seconds in ((TEXTS[0], SECONDS), (TEXTS[1], 10 * SECONDS), *((text, SECONDS) for text in TEXTS[2:6])):
        wav = sound(text, seconds)
        shelf.add(BundledPhrase.from_sound(metadata(text, seconds), wav), wav)
    shelf.close()
    counts = []
    for path in sorted(tmp_path.glob("*.zip")):
        with ZipFile(path) as bundle:
            counts.append(len(set(bundle.namelist()) - {MANIFEST}))
    assert counts == [1, 1, 3, 1]


def test_a_full_disk_leaves_whole_bundles_only(tmp_path: Path) -> None:
    render(tmp_path, Studios(), TEXTS[:200])
    (tmp_path / "bundle.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        render(tmp_path, Studios())
    assert on_shelf(tmp_path) == dict.fromkeys(TEXTS[:200], 1)
    (tmp_path / "bundle.part").unlink()
    render(tmp_path, Studios())
    assert on_shelf(tmp_path) == dict.fromkeys(TEXTS, 1)
