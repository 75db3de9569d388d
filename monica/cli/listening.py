"""monica cache play and remake: hear a phrase, and have it made again if it came out badly."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from typing import Any
from urllib.parse import quote

import click

from monica.cli.group import fail
from monica.cli.output import FORMAT_HELP, encoder_for, write_sound
from monica.cli.remote import TIMEOUT_S, Refused, Remote, exit_on_error
from monica.config import Settings
from monica.store.catalogue import Catalogue
from monica.store.phrase import shown

PLAYERS = (
    ("pw-play",),
    ("paplay",),
    ("aplay", "-q"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("afplay",),
)


@click.command()
@click.argument("key")
@click.option("-o", "--output", help=f"Write a file instead{FORMAT_HELP}")
def play(key: str, output: str | None) -> None:
    """Play a phrase, or write it to a file. It does not count as a hit."""
    encode = encoder_for(output or "-")
    with Catalogue.open(Settings.from_env()) as catalogue:
        (phrase,) = catalogue.find_by_prefix([key])
        sound = catalogue.read_sound(phrase)
    if output is not None:
        write_sound(encode(sound), output)
        return
    if phrase.text:
        click.echo(phrase.text, err=True)
    play_wav(sound)


def play_wav(sound: bytes) -> None:
    """Play a WAV with the first player that can."""
    found = [player for player in PLAYERS if shutil.which(player[0])]
    if not found:
        names = ", ".join(player[0] for player in PLAYERS)
        fail(f"No player was found ({names}). Write the phrase to a file with -o FILE.")
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        file.write(sound)
        file.flush()
        for player in found:
            if subprocess.run([*player, file.name], check=False, stderr=subprocess.DEVNULL).returncode == 0:  # noqa: S603
                return
    fail(f"{found[-1][0]} cannot play here. Write the phrase to a file with -o FILE.")


@click.command()
@click.argument("key", required=False)
@click.option(
    "--affected", is_flag=True, help="Every phrase that is said differently since the lexicon or the rules changed."
)
@click.option("--url", help="Where Monica runs; this machine by default.")
def remake(key: str | None, affected: bool, url: str | None) -> None:
    """Have a running server make a phrase again and replace the kept take. Live requests go first.

    A phrase that is said differently by now gets a new key, and the old take is removed. With --affected, the exit code
    is 1 if a phrase could not be made.
    """
    if affected == (key is not None):
        raise click.UsageError("Give either KEY or --affected.")
    settings = Settings.from_env()
    with exit_on_error():
        remote = Remote(url or f"http://127.0.0.1:{settings.port}", settings)
        timeout = max(TIMEOUT_S, settings.deadline_s + 5)
        if key is not None:
            made = _remake(remote, key, timeout)
            click.echo(f"{made['key']:.12} was made again. Hear it: monica cache play {made['key']:.12}")
            return
        _remake_affected(remote, timeout)


def _remake(remote: Remote, key: str, timeout: float) -> dict[str, Any]:
    made: dict[str, Any] = remote.ask("POST", f"/v1/phrases/{quote(key, safe='')}/remake", timeout=timeout)
    return made


def _remake_affected(remote: Remote, timeout: float) -> None:
    """Make every affected phrase again. One that the server refuses is named and left as it is."""
    refused: set[str] = set()
    made = 0
    while True:  # an answer lists at most a thousand
        phrases = remote.ask("GET", "/v1/lexicon/affected", timeout=timeout)["phrases"]
        left = [phrase for phrase in phrases if phrase["key"] not in refused]
        if not left:
            break
        for phrase in left:
            try:
                _remake(remote, phrase["key"], timeout)
            except Refused as error:
                refused.add(phrase["key"])
                click.echo(f"{phrase['key']:.12} is left: {shown(error.message)}", err=True)
            else:
                made += 1
                click.echo(f"{made}: {shown(phrase['text'])}")
    click.echo(f"{made} made again{f', {len(refused)} left' if refused else ''}.")
    if refused:
        sys.exit(1)
