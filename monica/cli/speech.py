"""Commands that speak, or show how: no server is needed."""

from __future__ import annotations

import json

import click

from monica import logs
from monica.announcer import Announcer, SpeechRequest
from monica.cli.output import write
from monica.config import Settings


@click.command()
@click.argument("text")
@click.option("-o", "--output", default="monica.wav", help="The WAV to write; - for standard output.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="The same seed gives the same take.")
def say(text: str, output: str, seed: int | None) -> None:
    """Speak TEXT into a WAV file; no server is needed."""
    settings = Settings.from_env()
    logs.set_up(settings.log_level)
    announcer = Announcer(settings)
    try:
        announcer.start_and_wait()
        said = announcer.announce(SpeechRequest(text=text, seed=seed))
    finally:
        announcer.close()
    write(said.wav, output)
    click.echo(f"{output}: {said.duration_s:.2f} s, {said.engine}", err=True)


@click.command()
@click.argument("text")
def text(text: str) -> None:
    """Show how TEXT is said: in words, sentence by sentence, and which rules saw to it."""
    announcer = Announcer(Settings.from_env())
    try:
        spelling = announcer.spell(text)
    finally:
        announcer.close()
    click.echo(json.dumps(spelling.as_dict(), ensure_ascii=False, indent=2))
