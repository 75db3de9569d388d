"""monica cache play and remake: hear a phrase, and have it made anew where it came out badly."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import NoReturn
from urllib.parse import urlsplit

import click

from monica.catalogue import Catalogue
from monica.cli.group import fail
from monica.cli.output import write
from monica.config import Settings
from monica.label import Recipe

PLAYERS = (
    ("paplay",),
    ("aplay", "-q"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("afplay",),
)


@click.command()
@click.argument("key")
@click.option("-o", "--output", help="A WAV to write instead; - for standard output.")
def play(key: str, output: str | None) -> None:
    """Play a phrase, or write it to a file. It does not count as a hit."""
    with Catalogue.open(Settings.from_env()) as catalogue:
        (card,) = catalogue.pick([key])
        sound = catalogue.read(card)
    if output is not None:
        write(sound, output)
        return
    if card.text:
        click.echo(card.text, err=True)
    _play(sound)


def _play(sound: bytes) -> None:
    """Play a WAV with the first player there is that can."""
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
@click.option("--url", help="Where Monica runs; this machine otherwise.")
def remake(key: str, url: str | None) -> None:
    """Have a running server make a phrase anew, in the place of what is kept."""
    settings = Settings.from_env()
    with Catalogue.open(settings) as catalogue:
        (card,) = catalogue.pick([key])
    try:
        recipe = card.label().recipe
    except ValueError:
        fail(f"Of {card.key:.12} it is not known how it was asked for. Remove it: it is made again when it is wanted.")
    if recipe.seed is not None:
        fail(f"{card.key:.12} was asked for with the seed {recipe.seed}: it would come out the same.")
    made = _ask(url or f"http://127.0.0.1:{settings.port}", recipe, settings.deadline_s + 5)
    if made != card.key:
        fail("The server made it under another key: its engine, voice, finish or lexicon is not that of what is kept.")
    click.echo(f"{card.key:.12} is made anew. Hear it: monica cache play {card.key:.12}")


def _ask(url: str, recipe: Recipe, timeout: float) -> str:
    """Have a take made anew, and return its key."""
    where = urlsplit(url)
    kind = {"http": HTTPConnection, "https": HTTPSConnection}.get(where.scheme)
    if kind is None or where.hostname is None:
        fail(f"{url} is not the address of a server: http://host:port")
    body = {
        "text": recipe.text,
        "voice": recipe.voice,
        "exaggeration": recipe.params.exaggeration,
        "cfg_weight": recipe.params.cfg_weight,
        "temperature": recipe.params.temperature,
        "fallback": False,
    }
    headers = {"Content-Type": "application/json", "Cache-Control": "no-cache"}
    try:
        connection = kind(where.hostname, where.port, timeout=timeout)
        connection.request("POST", f"{where.path.rstrip('/')}/blabla", json.dumps(body), headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
    except (OSError, HTTPException, ValueError) as error:
        fail(f"No Monica answers at {url}: {error}")
    if response.status != 200:
        _refused(response, answer)
    return (response.headers["ETag"] or "").strip('"')


def _refused(response: HTTPResponse, answer: bytes) -> NoReturn:
    try:
        message = json.loads(answer)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = response.reason
    fail(f"The server refused: {message}")
