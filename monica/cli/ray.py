"""The commands for replicas on Ray Serve."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from monica.cli.group import Group, fail
from monica.config import Settings
from monica.engine.registry import engine_spec
from monica.errors import ModelUnavailable

LOOK_S = 2.0
"""Time between two looks at whether the replicas answer."""


@click.group(cls=Group)
def ray() -> None:
    """Replicas of an engine on Ray Serve (docs/ray.md)."""


@ray.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dashboard", default="http://127.0.0.1:8265", show_default=True, help="The dashboard of Ray's head.")
@click.option("--wait", default=900.0, show_default=True, help="Seconds until a replica must answer.")
def deploy(config: Path, dashboard: str, wait: float) -> None:
    """Deploy the replicas of a configuration of Serve, and wait until one answers at MONICA_RAY_ADDRESS.

    Needs the extra `ray`, whose command `serve` it runs.
    """
    settings = _settings()
    beside = Path(sys.executable).parent / "serve"
    serve = str(beside) if beside.exists() else shutil.which("serve")
    if serve is None:
        fail("Ray is not installed here; install it with: uv sync --extra ray")
    done = subprocess.run([serve, "deploy", str(config), "--address", dashboard], check=False)  # noqa: S603
    if done.returncode != 0:
        fail(f"Serve does not take {config}.")
    click.echo(_wait(settings, wait))


@ray.command()
def status() -> None:
    """Say which engine the replicas at MONICA_RAY_ADDRESS have, and whether they fit this Monica."""
    click.echo(_describe(_settings()))


def _settings() -> Settings:
    return replace(Settings.from_env(), engine="ray")


def _describe(settings: Settings) -> str:
    """Ask a replica who it is. Raises ConfigError if it does not fit, ModelUnavailable if none answers."""
    engine = engine_spec(settings.engine).make(settings)
    engine.load()
    return f"{engine.name}: {engine.model}, on {engine.device}; checkpoint {engine.fingerprint}"


def _wait(settings: Settings, seconds: float) -> str:
    """Describe the replicas as soon as one answers."""
    until = time.monotonic() + seconds
    while True:
        try:
            return _describe(settings)
        except ModelUnavailable as error:
            if time.monotonic() > until:
                fail(f"no replica answers after {seconds:.0f} s: {error}")
        time.sleep(LOOK_S)
