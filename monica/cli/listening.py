"""monica cache play and remake: hear a phrase, and have it made again if it came out badly."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from urllib.parse import quote

import click

from monica.cli.group import fail
from monica.cli.output import write_sound
from monica.cli.remote import TIMEOUT_S, Remote, exit_on_error
from monica.config import Settings
from monica.store.catalogue import Catalogue

PLAYERS = (
    ("paplay",),
    ("aplay", "-q"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("afplay",),
)


@click.command()
@click.argument("key")
@click.option("-o", "--output", help="Write a WAV instead; - for standard output.")
def play(key: str, output: str | None) -> None:
    """Play a phrase, or write it to a file. It does not count as a hit."""
    with Catalogue.open(Settings.from_env()) as catalogue:
        (phrase,) = catalogue.find_by_prefix([key])
        sound = catalogue.read_sound(phrase)
    if output is not None:
        write_sound(sound, output)
        return
    if phrase.text:
        click.echo(phrase.text, err=True)
    _play_wav(sound)


def _play_wav(sound: bytes) -> None:
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
@click.argument("key")
@click.option("--url", help="Where Monica runs; this machine by default.")
def remake(key: str, url: str | None) -> None:
    """Have a running server make a phrase again and replace the kept take. Live requests go first."""
    settings = Settings.from_env()
    with exit_on_error():
        remote = Remote(url or f"http://127.0.0.1:{settings.port}", settings)
        path = f"/v1/phrases/{quote(key, safe='')}/remake"
        made = remote.ask("POST", path, timeout=max(TIMEOUT_S, settings.deadline_s + 5))
    click.echo(f"{made['key']:.12} was made again. Hear it: monica cache play {made['key']:.12}")
