"""Groups of commands. A command that fails ends with one line and exit code 1."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

import click

from monica.errors import ConfigError, MonicaError


class Group(click.Group):
    """Ends every command that fails with one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigError, MonicaError) as error:
            fail(str(error))


class LazyGroup(Group):
    """Imports a command only when it is called: what another command needs may take a second to import.

    homes: modules by command.
    """

    def __init__(self, *args: Any, homes: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = self._homes.get(cmd_name)
        command: click.Command | None = getattr(import_module(home), cmd_name) if home else None
        return command


def fail(message: str) -> NoReturn:
    """End the command with one line and exit code 1."""
    click.echo(f"monica: {message}", err=True)
    sys.exit(1)
