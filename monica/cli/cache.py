"""monica cache: what is kept, listed and curated. Beside a running server too, which sees it within ten seconds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

import click

from monica.cli.bundles import export, import_
from monica.cli.group import Group
from monica.cli.listening import play, remake
from monica.config import Settings
from monica.store.card import Card
from monica.store.catalogue import SORTS, Catalogue, Stats

ROW = "{:<12}  {:>7}  {:>6}  {:>5}  {:<16}  {:<3}  {:<10}  {}"


@click.group(cls=Group)
def cache() -> None:
    """What is kept: list it, hear it, pin it, take it to another machine.

    A KEY is the beginning of an entry's key, as long as no other begins so.
    """


for command in (play, remake, export, import_):
    cache.add_command(command)


@cache.command()
@click.argument("search", default="")
@click.option("--sort", type=click.Choice(SORTS), default="made", show_default=True)
@click.option("--limit", type=click.IntRange(1), help="Show so many at most.")
@click.option("--json", "as_json", is_flag=True)
def ls(search: str, sort: str, limit: int | None, as_json: bool) -> None:
    """List what is kept.

    With SEARCH, what has it in its text, as written or as said; case and accents do not matter.
    """
    with Catalogue.open(Settings.from_env()) as catalogue:
        cards = catalogue.cards(search, sort)
    if as_json:
        _print_json([card.as_dict() for card in cards[:limit]])
    elif not cards:
        click.echo("Nothing that is kept says so." if search else "The cache is empty.")
    else:
        click.echo(ROW.format("KEY", "SECONDS", "KB", "HITS", "MADE", "PIN", "ENGINE", "TEXT"))
        click.echo("\n".join(_row(card) for card in cards[:limit]))


@cache.command()
@click.option("--json", "as_json", is_flag=True)
def stats(as_json: bool) -> None:
    """Show the cache in numbers."""
    with Catalogue.open(Settings.from_env()) as catalogue:
        numbers = catalogue.stats()
    if as_json:
        _print_json(numbers.as_dict())
    elif not numbers.entries:
        click.echo("The cache is empty.")
    else:
        click.echo("\n".join(_lines(numbers)))


@cache.command()
@click.argument("keys", nargs=-1, metavar="KEY...")
@click.option("--text", help="Remove what has this in its text.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(keys: tuple[str, ...], text: str | None, yes: bool) -> None:
    """Remove phrases. They are made again when they are asked for."""
    if bool(keys) == bool(text):
        raise click.UsageError("Say which: either KEY... or --text.")
    with Catalogue.open(Settings.from_env()) as catalogue:
        cards = catalogue.cards(text) if text else catalogue.pick(list(keys))
        if text and cards and not yes:
            click.echo("\n".join(_row(card) for card in cards))
            click.confirm(f"Remove {_count(cards)}?", abort=True)
        catalogue.remove(cards)
    click.echo(f"{_count(cards)} removed.")


@cache.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
def pin(keys: tuple[str, ...]) -> None:
    """Keep phrases when the cache is full. One that is made again stays pinned."""
    with Catalogue.open(Settings.from_env()) as catalogue:
        cards = catalogue.pick(list(keys))
        catalogue.pin(cards)
    click.echo(f"{_count(cards)} pinned.")


@cache.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
def unpin(keys: tuple[str, ...]) -> None:
    """Let phrases be evicted again."""
    with Catalogue.open(Settings.from_env()) as catalogue:
        cards = catalogue.pick(list(keys))
        catalogue.unpin(cards)
    click.echo(f"{_count(cards)} not pinned any more.")


@cache.command()
@click.option("--remove", is_flag=True, help="Remove those that are corrupt.")
def verify(remove: bool) -> None:
    """Name what is corrupt. Then the exit code is 1."""
    corrupt, count = [], 0
    with Catalogue.open(Settings.from_env()) as catalogue:
        for card, fault in catalogue.verify():
            count += 1
            if fault is not None:
                corrupt.append(card)
                click.echo(f"{fault}: {card.text or 'no label'}")
        if remove:
            catalogue.remove(corrupt)
    click.echo(f"{count} read, {len(corrupt)} corrupt{' and removed' if corrupt and remove else ''}.")
    sys.exit(1 if corrupt else 0)


def _row(card: Card) -> str:
    seconds = "-" if card.seconds is None else f"{card.seconds:.2f}"
    pinned = "pin" if card.pinned else ""
    return ROW.format(
        card.key[:12], seconds, f"{card.size / 1000:.0f}", card.hits, _when(card.made), pinned,
        card.engine or "-", card.text or "-",
    )  # fmt: skip


def _lines(stats: Stats) -> Iterator[str]:
    yield f"{stats.entries} entries, {stats.pinned} pinned ({_mb(stats.pinned_bytes)})"
    yield f"{_mb(stats.volume)} of MONICA_CACHE_MB={stats.limit // 2**20}, {stats.seconds:.0f} s of sound"
    yield f"hits: {stats.hits}"
    if stats.oldest is not None and stats.newest is not None:
        yield f"made from {_when(stats.oldest)} to {_when(stats.newest)}"
    yield ""
    for share in stats.shares:
        name = f"{share.engine} {share.voice}".strip() or "without a label"
        yield f"{name}: {share.entries} entries, {_mb(share.bytes)}, {share.seconds:.0f} s"
    if stats.most:
        yield ""
        yield "most asked for:"
        yield from (_row(card) for card in stats.most)


def _when(made: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(made))


def _mb(size: int) -> str:
    return f"{size / 2**20:.1f} MB"


def _count(cards: list[Card]) -> str:
    return f"{len(cards)} {'phrase' if len(cards) == 1 else 'phrases'}"


def _print_json(found: object) -> None:
    click.echo(json.dumps(found, ensure_ascii=False, indent=2))
