"""The command line: speak without a server, warm one up, examine an installation, manage the kept phrases."""

from __future__ import annotations

import click

from monica import __version__
from monica.cli.group import LazyGroup

HOMES = {
    "say": "monica.cli.speech",
    "text": "monica.cli.speech",
    "warm": "monica.cli.warm",
    "doctor": "monica.cli.installation",
    "prefetch": "monica.cli.installation",
    "accept": "monica.cli.accept",
    "cache": "monica.cli.cache",
    "speaker": "monica.cli.speaker",
    "ray": "monica.cli.ray",
    "render": "monica.cli.render",
}


@click.group(cls=LazyGroup, homes=HOMES)
@click.version_option(__version__)
def main() -> None:
    """Monica, the announcer. The environment holds her settings, as for the server."""
