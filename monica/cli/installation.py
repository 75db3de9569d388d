"""Commands for a new installation."""

from __future__ import annotations

import sys

import click

from monica.cli.doctor import examine
from monica.config import Settings
from monica.errors import ConfigError


@click.command()
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


@click.command()
def prefetch() -> None:
    """Download the checkpoint, so that a later start needs no network."""
    settings = Settings.from_env()
    if settings.model_dir is not None:
        raise ConfigError("MONICA_MODEL_DIR is set: the checkpoint is there and nothing is downloaded.")
    from monica.engine.selection import require_chatterbox

    require_chatterbox("prefetch")
    from monica.engine.chatterbox.checkpoint import download

    click.echo(f"The checkpoint is in {download(settings).t3.parent}")
