"""Commands for a new installation."""

from __future__ import annotations

import sys

import click

from monica.cli.doctor import examine
from monica.config import Settings
from monica.engine.registry import engine_spec, engine_specs
from monica.listening import model as listening


@click.command()
def doctor() -> None:
    """Check this installation. Each check is green, or red with what to do about it."""
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
    """Download the voice that speaks here, and the listener's model if the extra `listen` is installed.

    A later start needs no network then.
    """
    settings = Settings.from_env()
    downloads = {spec.name: spec.prefetch for spec in engine_specs() if spec.prefetch is not None}
    if settings.engine in downloads:
        chosen = [name for name in downloads if name in (settings.engine, settings.fallback)]
    else:
        # The engine that speaks here downloads nothing, or is not known yet: an image for machines with a GPU is built
        # on one without.
        chosen = [name for name in downloads if engine_spec(name).installed()] or list(downloads)
    for name in chosen:
        click.echo(downloads[name](settings))
    if listening.installed() and settings.listen != "off":
        click.echo(listening.prefetch(settings))
