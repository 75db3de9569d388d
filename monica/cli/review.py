"""monica cache listen, review and words: have phrases listened to, choose among doubtful takes, show what was heard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import click

from monica.cli.group import fail
from monica.cli.listening import play_wav
from monica.config import Settings
from monica.store import review as reviewing
from monica.store.catalogue import Catalogue
from monica.store.hearing import Hearing, Verdict
from monica.store.phrase import KeptPhrase, shown
from monica.store.side_takes import SideTakes


@contextmanager
def _stores() -> Iterator[tuple[Catalogue, SideTakes]]:
    settings = Settings.from_env()
    with Catalogue.open(settings) as catalogue, closing(SideTakes(settings.cache_dir, visiting=True)) as side_takes:
        yield catalogue, side_takes


@click.command()
@click.argument("key", required=False)
@click.option("--take", type=click.IntRange(1), help="Play or keep this take instead of the one that is kept.")
@click.option("--play", is_flag=True, help="Play it.")
@click.option("--keep", is_flag=True, help="Keep it: a person has heard it. The other takes are forgotten.")
def review(key: str | None, take: int | None, play: bool, keep: bool) -> None:
    """List the phrases that were listened to and are doubtful; with KEY, show the takes of any phrase.

    What was heard otherwise stands in brackets: [said: heard]. To have a phrase made again: monica cache remake KEY.
    Without KEY, the exit code is 1 if a phrase is doubtful.
    """
    if key is None and (take is not None or play or keep):
        raise click.UsageError("Say which phrase: KEY.")
    with _stores() as (catalogue, side_takes):
        if key is None:
            found = reviewing.find_doubtful(catalogue, side_takes)
            click.echo("\n".join(map(_row, found)) or "No phrase is doubtful.")
            sys.exit(1 if found else 0)
        phrase = reviewing.find_choice(catalogue, side_takes, key)
        click.echo("\n".join(_lines(phrase)))
        if play:
            play_wav(_sound(catalogue, side_takes, phrase, take))
        if keep:
            reviewing.keep(catalogue, side_takes, phrase, take)
            click.echo(f"{phrase.key:.12} is accepted.")


@click.command()
@click.argument("search", default="")
@click.option("--again", is_flag=True, help="Those too that have been listened to.")
def listen(search: str, again: bool) -> None:
    """Listen to the kept phrases that have not been listened to, and mark the doubtful ones.

    What a person has accepted stays as it is.

    With SEARCH, only to those with it in their text. It needs the extra `listen` and a model, and no server. Ctrl-C
    stops it; the same command goes on from there. The exit code is 1 if a phrase is doubtful.
    """
    # Here: the command line should not take longer for it.
    from monica.listening.listener import Listener, ListeningFailed
    from monica.listening.model import model_name
    from monica.listening.verdict import judge
    from monica.synthesis.durations import NAME as DURATIONS
    from monica.synthesis.durations import DurationModels

    settings = Settings.from_env()
    counts = dict.fromkeys(Verdict, 0)
    with Catalogue.open(settings) as catalogue:
        phrases = [phrase for phrase in catalogue.phrases(search) if _may_hear(phrase, again)]
        if not phrases:
            click.echo("Every phrase has been listened to.")
            return
        durations = DurationModels(settings.cache_dir / DURATIONS)
        listener = Listener(settings)
        for number, phrase in enumerate(phrases, 1):
            try:
                sound, metadata = catalogue.read_sound(phrase), phrase.metadata()
                heard = listener.hear(sound, metadata.recipe.text or metadata.recipe.said)
            except (ValueError, ListeningFailed) as error:
                click.echo(f"{number}/{len(phrases)} {phrase.key:.12} not heard: {shown(str(error))}", err=True)
                continue
            spreads = durations.spreads(metadata.recipe, sound)
            hearing = judge(heard, phrase.engine, phrase.sha256, model_name(settings), spreads)
            now = catalogue.get(phrase.key)
            if now is not None and now.sha256 == phrase.sha256:  # or it was made again meanwhile
                catalogue.put(phrase.key, sound, replace(metadata, heard=hearing))
            counts[hearing.verdict] += 1
            click.echo(f"{number}/{len(phrases)} {phrase.key:.12} {hearing.verdict}: {_marked(hearing)}")
        listener.close()
    bad = counts[Verdict.DOUBTFUL] + counts[Verdict.WRONG]
    click.echo(f"{counts[Verdict.GOOD]} good, {bad} doubtful. See: monica cache review")
    sys.exit(1 if bad else 0)


@click.command()
@click.argument("key")
def words(key: str) -> None:
    """Show when each word of a phrase that was listened to begins and ends, in seconds."""
    with Catalogue.open(Settings.from_env()) as catalogue:
        (phrase,) = catalogue.find_by_prefix([key])
    for word in phrase.words():
        click.echo(f"{word.start_s:7.2f} {word.end_s:7.2f}  {shown(word.text)}")


def _marked(hearing: Hearing) -> str:
    """Write a text with what was heard otherwise, and what is wrong with the duration."""
    fault = f" [{hearing.fault.replace('_', ' ')}]" if hearing.fault else ""
    return reviewing.mark(hearing.expected, hearing.differences) + fault


def _may_hear(phrase: KeptPhrase, again: bool) -> bool:
    return phrase.hearing is None or (again and phrase.hearing.verdict is not Verdict.ACCEPTED)


def _row(phrase: reviewing.Choice) -> str:
    hearing = phrase.hearing
    assert hearing is not None  # noqa: S101 - it is doubtful
    state = hearing.verdict if phrase.kept is not None else "not kept"
    marked = _marked(hearing)
    return f"{phrase.key[:12]}  {state:<8}  {len(phrase.takes)} takes  {marked}"


def _lines(phrase: reviewing.Choice) -> Iterator[str]:
    found = phrase.as_dict()
    yield f"{phrase.key[:12]}  {found['text']}"
    if (hearing := found["hearing"]) is not None:
        yield f"  marked: {hearing['marked']}"
        yield f"  heard:  {hearing['heard']}"
        if hearing["heard_freely"] is not None:
            yield f"  freely: {hearing['heard_freely']}"
    for take in found["takes"]:
        kept = ", kept" if take["kept"] else ""
        heard = "{verdict}: {marked}".format(**take["hearing"]) if take["hearing"] else "not listened to"
        yield f"  take {take['number']}{kept}, {take['seconds']:.2f} s, {heard}"


def _sound(catalogue: Catalogue, side_takes: SideTakes, phrase: reviewing.Choice, take: int | None) -> bytes:
    if take is not None:
        return side_takes.sound(phrase.key, take)
    if phrase.kept is None:
        fail("No take of it is kept: say which one, with --take.")
    return catalogue.read_sound(phrase.kept)
