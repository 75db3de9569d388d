"""monica cache: list and curate the kept phrases. A running server sees changes within ten seconds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import click

from monica.cli.bundles import export, import_
from monica.cli.group import Group
from monica.cli.listening import play, remake
from monica.cli.review import listen, review, words
from monica.config import Settings
from monica.store.catalogue import SORTS, Catalogue
from monica.store.phrase import KeptPhrase
from monica.store.side_takes import SideTakes
from monica.store.stats import Stats

ROW = "{:<12}  {:>7}  {:>6}  {:>5}  {:<16}  {:<3}  {:<10}  {}"


@click.group(cls=Group)
def cache() -> None:
    """The kept phrases: list them, hear them, pin them, take them to another machine.

    A KEY is the beginning of a phrase's key, as long as no other key begins with it.
    """


for command in (play, remake, listen, review, words, export, import_):
    cache.add_command(command)


@cache.command()
@click.argument("search", default="")
@click.option("--sort", type=click.Choice(SORTS), default="made", show_default=True)
@click.option("--limit", type=click.IntRange(1), help="Show no more than this.")
@click.option("--json", "as_json", is_flag=True)
def ls(search: str, sort: str, limit: int | None, as_json: bool) -> None:
    """List the kept phrases.

    With SEARCH, only those with it in their text, as written or as said; case and accents do not matter.
    """
    with Catalogue.open(Settings.from_env()) as catalogue:
        phrases = catalogue.phrases(search, sort)
    if as_json:
        _print_json([phrase.as_dict() for phrase in phrases[:limit]])
    elif not phrases:
        click.echo("No kept phrase has that in its text." if search else "The cache is empty.")
    else:
        click.echo(ROW.format("KEY", "SECONDS", "KB", "HITS", "MADE", "PIN", "ENGINE", "TEXT"))
        click.echo("\n".join(_row(phrase) for phrase in phrases[:limit]))


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
@click.option("--text", help="Remove phrases with this in their text.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(keys: tuple[str, ...], text: str | None, yes: bool) -> None:
    """Remove phrases. They are made again when they are asked for."""
    if bool(keys) == bool(text):
        raise click.UsageError("Say which phrases: either KEY... or --text.")
    settings = Settings.from_env()
    with Catalogue.open(settings) as catalogue:
        phrases = catalogue.phrases(text) if text else catalogue.find_by_prefix(list(keys))
        if text and phrases and not yes:
            click.echo("\n".join(_row(phrase) for phrase in phrases))
            click.confirm(f"Remove {_count(phrases)}?", abort=True)
        catalogue.remove(phrases)
    if phrases:
        with closing(SideTakes(settings.cache_dir, visiting=True)) as side_takes:
            for phrase in phrases:
                side_takes.forget(phrase.key)
    click.echo(f"{_count(phrases)} removed.")


@cache.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
def pin(keys: tuple[str, ...]) -> None:
    """Keep phrases when the cache is full. One that is made again stays pinned."""
    with Catalogue.open(Settings.from_env()) as catalogue:
        phrases = catalogue.find_by_prefix(list(keys))
        catalogue.pin(phrases)
    click.echo(f"{_count(phrases)} pinned.")


@cache.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
def unpin(keys: tuple[str, ...]) -> None:
    """Let phrases be evicted again."""
    with Catalogue.open(Settings.from_env()) as catalogue:
        phrases = catalogue.find_by_prefix(list(keys))
        catalogue.unpin(phrases)
    click.echo(f"{_count(phrases)} no longer pinned.")


@cache.command()
@click.option("--remove", is_flag=True, help="Remove the corrupt phrases.")
def verify(remove: bool) -> None:
    """Read every phrase and name the corrupt ones. If there are any, the exit code is 1."""
    corrupt, count = [], 0
    with Catalogue.open(Settings.from_env()) as catalogue:
        for phrase, error in catalogue.verify_sounds():
            count += 1
            if error is not None:
                corrupt.append(phrase)
                click.echo(f"{error}: {phrase.text or 'no metadata'}")
        if remove:
            catalogue.remove(corrupt)
    click.echo(f"{_phrases(count)} read, {len(corrupt)} corrupt{' and removed' if corrupt and remove else ''}.")
    sys.exit(1 if corrupt else 0)


def _row(phrase: KeptPhrase) -> str:
    seconds = "-" if phrase.seconds is None else f"{phrase.seconds:.2f}"
    pinned = "pin" if phrase.pinned else ""
    return ROW.format(
        phrase.key[:12], seconds, f"{phrase.size / 1000:.0f}", phrase.hits, _when(phrase.made), pinned,
        phrase.engine or "-", phrase.text or "-",
    )  # fmt: skip


def _lines(stats: Stats) -> Iterator[str]:
    yield f"{_phrases(stats.entries)}, {stats.pinned} pinned ({_mb(stats.pinned_bytes)})"
    yield f"{_mb(stats.volume)} of MONICA_CACHE_MB={stats.limit // 2**20}, {stats.seconds:.0f} s of sound"
    yield f"hits: {stats.hits}"
    if stats.oldest is not None and stats.newest is not None:
        yield f"made from {_when(stats.oldest)} to {_when(stats.newest)}"
    yield ""
    for share in stats.shares:
        name = f"{share.engine} {share.voice}".strip() or "without metadata"
        yield f"{name}: {_phrases(share.entries)}, {_mb(share.bytes)}, {share.seconds:.0f} s"
    if stats.most:
        yield ""
        yield "most asked for:"
        yield from (_row(phrase) for phrase in stats.most)


def _when(made: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(made))


def _mb(size: int) -> str:
    return f"{size / 2**20:.1f} MB"


def _count(phrases: list[KeptPhrase]) -> str:
    return _phrases(len(phrases))


def _phrases(number: int) -> str:
    return f"{number} {'phrase' if number == 1 else 'phrases'}"


def _print_json(found: object) -> None:
    click.echo(json.dumps(found, ensure_ascii=False, indent=2))
