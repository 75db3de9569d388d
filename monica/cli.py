"""The command line: speak without a server, examine an installation, fetch the checkpoint."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from monica import __version__, logs
from monica.announcer import Announcer, SpeechRequest
from monica.config import Settings
from monica.doctor import examine
from monica.errors import ConfigError, MonicaError


class Group(click.Group):
    """Ends every command that fails with one line, and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigError, MonicaError) as error:
            _fail(str(error))


def _fail(message: str) -> NoReturn:
    click.echo(f"monica: {message}", err=True)
    sys.exit(1)


@click.group(cls=Group)
@click.version_option(__version__)
def main() -> None:
    """Monica, the announcer. The environment holds her settings, as for the server."""


@main.command()
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
    try:
        if output == "-":
            sys.stdout.buffer.write(said.wav)
        else:
            Path(output).write_bytes(said.wav)
    except OSError as error:
        _fail(f"{output} cannot be written: {error.strerror}")
    click.echo(f"{output}: {said.duration_s:.2f} s, {said.engine}", err=True)


@main.command()
@click.argument("text")
def text(text: str) -> None:
    """Show how TEXT is said: in words, sentence by sentence, and which rules saw to it."""
    announcer = Announcer(Settings.from_env())
    try:
        spelling = announcer.spell(text)
    finally:
        announcer.close()
    click.echo(json.dumps(spelling.as_dict(), ensure_ascii=False, indent=2))


@main.command()
def doctor() -> None:
    """Examine this installation: every check green, or red with what to do."""
    healthy = True
    for finding in examine(Settings.from_env()):
        mark = click.style("ok  ", fg="green") if finding.ok else click.style("FAIL", fg="red")
        click.echo(f"{mark} {finding.name}: {finding.detail}")
        if not finding.ok:
            healthy = False
            click.echo(f"       -> {finding.advice}")
    sys.exit(0 if healthy else 1)


@main.command()
def prefetch() -> None:
    """Download the checkpoint, so that a later start needs no network."""
    settings = Settings.from_env()
    if settings.model_dir is not None:
        raise ConfigError("MONICA_MODEL_DIR is set: the checkpoint is there and nothing is downloaded.")
    from monica.engine.selection import require_chatterbox

    require_chatterbox("prefetch")
    from monica.engine.chatterbox.checkpoint import download

    click.echo(f"The checkpoint is in {download(settings).t3.parent}")
