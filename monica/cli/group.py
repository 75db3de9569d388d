"""Groups of commands. A command that fails ends with one line and exit code 1."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

import click

from monica.cli import standard_streams
from monica.cli.standard_streams import OutputLost
from monica.errors import ConfigError, MonicaError


class Group(click.Group):
    """Ends every command that fails with one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigError, MonicaError) as error:
            fail(str(error))


class LazyGroup(Group):
    """The group of all commands. Imports one only when it is called: what another needs may take a second to import.

    homes: modules by command.
    """

    def __init__(self, *args: Any, homes: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._homes = homes

    def main(self, *args: Any, **kwargs: Any) -> Any:
        standard_streams.guard()
        try:
            try:
                return super().main(*args, **kwargs)
            finally:
                sys.stdout.flush()
        except OutputLost as error:
            standard_streams.end(error)

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
