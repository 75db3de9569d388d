"""monica render: makes the phrases of a book on the machines of a Ray cluster, into bundles."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

import click

from monica.cli.group import fail
from monica.cli.progress import Progress, summary_lines
from monica.config import Settings
from monica.warming.book import BookError, PhraseBook
from monica.warming.job import Job, JobSource, State

if TYPE_CHECKING:
    from monica.render.cluster import Cluster
    from monica.render.rendering import Shelf

SHOW_S = 0.5
CONNECT_S = 10.0
FOUND_BY_RAY = ("auto", "local")
"""What Ray takes in place of an address."""
STORE = "store"
"""What --out takes in place of a folder."""
STOPPED = 130  # the exit code shells use for Ctrl-C


@click.command()
@click.argument("book", type=click.Path(path_type=Path))
@click.option(
    "--ray", "address", required=True, help="The head of the cluster, host:port; or `local`, to start one here."
)
@click.option(
    "--out",
    required=True,
    metavar="FOLDER|store",
    help="The folder for the bundles; or `store`, for the store of MONICA_SHARED_STORE. (./store is a folder.)",
)
@click.option("--studios", type=click.IntRange(1), help="How many engines; by default one a GPU, or one a machine.")
@click.option("--bundle-mb", type=click.IntRange(1, 1024), default=64, show_default=True, help="Size of a bundle.")
@click.option("--listen/--no-listen", default=None, help="Listen to every phrase, or to none. MONICA_LISTEN decides.")
def render(book: Path, address: str, out: str, studios: int | None, bundle_mb: int, listen: bool | None) -> None:
    """Make the phrases of BOOK on a Ray cluster, into bundles or the shared store.

    Bundles are for `monica cache import`; what is in the shared store, all nodes have.

    The same command goes on where it was stopped or killed: phrases that are there are not made again. The exit code is
    0 if every phrase is there, 1 if some are not, 2 if the book or the command line is wrong.
    """
    source = click.get_current_context().get_parameter_source("bundle_mb")
    if out == STORE and source is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError("--bundle-mb is for bundles, and --out store has none.")
    settings = Settings.from_env()
    try:
        phrases = PhraseBook.read_file(book, settings.max_text_length, of_any_size=True)
    except BookError as error:
        click.echo(f"monica: {error}", err=True)
        sys.exit(2)
    if find_spec("ray") is None:
        fail("Ray is not installed here; install it with: uv sync --extra ray")
    _check_address(address)
    # Ray reads these as it is imported. Below `uv run`, it would start each studio with that, in a copy of this folder
    # which has no environment. And a cluster is asked twenty times whether a wrong token is right.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    if address not in FOUND_BY_RAY:
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "5")

    job = Job("", JobSource(book.name), phrases.count(), time())
    with closing(_open_shelf(out, bundle_mb * 2**20, settings)) as shelf:
        for name in shelf.set_aside:
            click.echo(f"{name} is not a whole bundle: it is set aside, and its phrases are made again", err=True)
        from monica.render.cluster import Cluster

        with Cluster(address, settings, listen) as cluster:
            _make(phrases, shelf, job, cluster, studios or cluster.studios)
        gone = _count_gone(shelf) if job.state is State.DONE else 0
    click.echo("\n".join(summary_lines(job.as_dict())))
    if gone:
        fail(f"the shared store has let go of {gone} of them again: give it more memory, and render again")
    if job.state is State.STOPPED:
        sys.exit(STOPPED)
    sys.exit(1 if job.failed else 0)


def _open_shelf(out: str, limit: int, settings: Settings) -> Shelf:
    """Open what --out names. Raises ConfigError."""
    if out != STORE:
        from monica.render.shelf import Shelf as Bundles

        return Bundles(Path(out), limit)
    if settings.shared_store is None:
        fail("--out store needs MONICA_SHARED_STORE. For a folder of that name: --out ./store")
    try:
        from monica.render.shared_shelf import SharedShelf
        from monica.store.redis_link import RedisLink
    except ImportError:
        fail("--out store needs redis-py; install it with: uv sync --extra ray --extra redis")
    link = RedisLink(settings.shared_store, settings.shared_store_password_file)
    return SharedShelf(link, settings.shared_store_prefix)


def _count_gone(shelf: Shelf) -> int:
    try:
        return shelf.gone()
    except OSError as error:
        fail(f"{shelf.trouble}: {error.strerror or error}.")


def _check_address(address: str) -> None:
    """Fail at once if no one listens there. Ray itself would try for minutes."""
    if address in FOUND_BY_RAY:
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        fail(f"There is no Ray at {address}: {error.strerror or error}")
    except (ValueError, OverflowError):
        fail(f"The address of Ray's head is host:port, and not {address}")


def _make(book: PhraseBook, shelf: Shelf, job: Job, cluster: Cluster, studios: int) -> None:
    """Make the phrases until all were tried, or someone stops it. What was made is on the shelf then."""
    from monica.render.rendering import Rendering

    progress = Progress()
    rendering = Rendering(book, shelf, job, cluster.hire, progress.say)

    async def run() -> None:
        # A signal cancels this task, between two phrases, and never in the middle of a file.
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        for stop in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(stop, task.cancel)
        showing = asyncio.create_task(_show(progress, job))
        await rendering.run(studios)
        showing.cancel()

    job.start()
    try:
        try:
            with suppress(asyncio.CancelledError):
                asyncio.run(run())
                job.end(State.DONE)
        finally:
            shelf.finish()
    except OSError as error:
        fail(f"{shelf.trouble}: {error.strerror or error}.")
    finally:
        progress.end()
    if job.state is not State.DONE:
        job.end(State.STOPPED)


async def _show(progress: Progress, job: Job) -> None:
    while True:
        progress.show(job.as_dict())
        await asyncio.sleep(SHOW_S)
