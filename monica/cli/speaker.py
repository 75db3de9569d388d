"""monica speaker: play what is on air, on this machine, without a browser."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, urlencode

import click

from monica.cli.group import fail
from monica.cli.listening import PLAYERS
from monica.cli.remote import Refused, Remote, Unavailable, exit_on_error
from monica.config import Settings
from monica.store.phrase import shown

SILENCE_S = 40.0
"""A server that says nothing for so long is gone: it speaks every 15 seconds."""
RETRY_S = 2.0


@click.command()
@click.option("--url", help="Where Monica runs; this machine by default.")
@click.option(
    "--name", default=socket.gethostname, show_default="this machine's", help="What people call this speaker."
)
@click.option("--player", help="The command that plays a WAV whose path is added to it; the first that is there.")
def speaker(url: str | None, name: str, player: str | None) -> None:
    """Play what is on air on this machine. One speaker plays at a time; the others stand by.

    It goes on after the server or the network was away. End it with Ctrl-C.
    """
    settings = Settings.from_env()
    with exit_on_error():
        remote = Remote(url or f"http://127.0.0.1:{settings.port}", settings)
        command = player.split() if player else _find_player()
        Speaker(remote, name[:60], command).run()


def _find_player() -> list[str]:
    found = next((player for player in PLAYERS if shutil.which(player[0])), None)
    if found is None:
        fail(f"No player was found ({', '.join(player[0] for player in PLAYERS)}). Name one with --player.")
    return list(found)


class Speaker:
    """Follows the events of a server, and plays what is on air.

    player: a command, to which the path of a WAV is added.
    """

    def __init__(self, remote: Remote, name: str, player: list[str]) -> None:
        self._remote = remote
        self._name = name
        self._player = player
        self._id = "cli-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in name)[:56]
        self._lock = threading.Lock()
        self._playing: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Play until the process is ended. Raises Refused if the server does not want this speaker."""
        told = False
        while True:
            try:
                for kind, data in self._events():
                    if not told:
                        click.echo(f"{self._name}: connected to {self._remote.url}", err=True)
                        told = True
                    self._take(kind, data)
                reason = "the connection ended"
            except Unavailable as error:
                reason = error.message
            except (OSError, HTTPException, ValueError) as error:
                reason = str(error) or type(error).__name__
            if told:
                click.echo(f"{self._name}: {shown(reason)}; trying again", err=True)
            told = False
            time.sleep(RETRY_S)

    def _events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        query = urlencode({"speaker": self._id, "name": self._name})
        with self._remote.follow(f"/v1/events?{query}", SILENCE_S) as response:
            yield from read_events(response)

    def _take(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "state":
            self._report("ready")
            with self._lock:
                playing = self._playing
            if playing is not None:
                self._report("playing", announcement=playing)
        if kind == "stop":
            self._stop(data["id"])
        if kind in ("state", "antenna") and data["on_air"] is not None and data["speaker"] == self._id:
            with self._lock:
                if self._playing == data["on_air"]["id"]:
                    return
                self._playing = data["on_air"]["id"]
            threading.Thread(target=self._play, args=(data["on_air"],), daemon=True).start()

    def _play(self, cue: dict[str, Any]) -> None:
        """Play an announcement to its end, and report. Runs in a thread of its own, so that a stop is heard."""
        try:
            sound = self._remote.fetch("GET", f"/v1/announcements/{quote(cue['id'], safe='')}/audio")
            with tempfile.NamedTemporaryFile(suffix=".wav") as file:
                file.write(sound)
                file.flush()
                with self._lock:
                    if self._playing != cue["id"]:
                        return  # it was stopped before it began
                    self._process = subprocess.Popen([*self._player, file.name], stderr=subprocess.DEVNULL)  # noqa: S603
                click.echo(shown(cue["text"]))
                self._report("playing", announcement=cue["id"])
                code = self._process.wait()
        except (Unavailable, Refused, OSError) as error:
            self._end(cue["id"], f"{self._player[0]}: {error}")
        else:
            self._end(cue["id"], None if code == 0 else f"{self._player[0]} ended with {code}")

    def _end(self, cue_id: str, reason: str | None) -> None:
        with self._lock:
            if self._playing != cue_id:
                return  # it was stopped, which the server knows
            self._playing = self._process = None
        if reason is None:
            self._report("ended", announcement=cue_id)
        else:
            click.echo(f"{self._name}: {shown(reason)}", err=True)
            self._report("failed", announcement=cue_id, reason=reason[:200])

    def _stop(self, cue_id: str) -> None:
        with self._lock:
            if self._playing != cue_id:
                return
            process, self._playing, self._process = self._process, None, None
        if process is not None:
            process.terminate()

    def _report(self, event: str, **fields: object) -> None:
        try:
            self._remote.ask("POST", f"/v1/speakers/{self._id}/reports", {"event": event} | fields)
        except (Unavailable, Refused) as error:  # the server finds out by itself: it waits for no report for ever
            click.echo(f"{self._name}: {shown(str(error))}", err=True)


def read_events(response: HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read server-sent events as Monica sends them: kind and data. Raises what a connection can raise, ValueError."""
    kind = ""
    while line := response.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)
