"""monica cache export and import: phrases in one file, for another machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from monica.cli.group import fail
from monica.config import Settings
from monica.store.catalogue import Catalogue
from monica.store.identity import Identity


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("search", default="")
@click.option("--all", "everything", is_flag=True, help="Include other engines, checkpoints and voices.")
def export(file: Path, search: str, everything: bool) -> None:
    """Write phrases to FILE, a ZIP of WAVs.

    With SEARCH, only those with it in their text. Phrases of another engine, checkpoint or voice are left out.
    """
    from monica.store import bundle

    settings = Settings.from_env()
    with Catalogue.open(settings) as catalogue:
        phrases = catalogue.phrases(search)
        chosen = phrases if everything else bundle.select_ours(phrases, Identity.from_folder(settings.cache_dir))
        if not chosen:
            fail("There is nothing to export.")
        part = file.with_name(f".{file.name}.{os.getpid()}")  # so that half a bundle never has its name
        try:
            with part.open("wb") as out:
                left_out = bundle.export(catalogue, chosen, out)
            size = part.stat().st_size
            part.replace(file)
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}")
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    click.echo(f"{file}: {len(chosen) - len(left_out)} phrases, {size / 2**20:.1f} MB")
    if foreign := len(phrases) - len(chosen):
        click.echo(f"left out: {foreign} of another engine, checkpoint or voice; --all takes them too", err=True)
    if left_out:
        click.echo(f"left out: {len(left_out)} that are corrupt, or older than metadata", err=True)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Import other engines, checkpoints and voices too.")
@click.option("--pin", is_flag=True, help="Pin the imported phrases.")
def import_(file: Path, force: bool, pin: bool) -> None:
    """Keep the phrases of a bundle here.

    A take in the bundle replaces the kept take of the same phrase. All of the bundle is examined before anything is
    written.
    """
    from monica.store.bundle import Bundle, ForeignBundle

    settings = Settings.from_env()
    try:
        with file.open("rb") as source:
            bundle = Bundle(source, settings.cache_mb * 2**20)
            if not force:
                bundle.check_origin(Identity.from_folder(settings.cache_dir))
            with Catalogue.open(settings, create=True) as catalogue:
                imported = bundle.import_into(catalogue)
                if pin:
                    catalogue.pin(catalogue.find_by_prefix([phrase.key for phrase in bundle.phrases]))
    except ForeignBundle as error:
        fail(f"{error} Use --force to import it anyway.")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    click.echo(f"{imported.new} new, {imported.replaced} replaced, {imported.known} already there")
