"""monica accept: the examination of a machine on its first day."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from monica import logs
from monica.acceptance import ear_test, report
from monica.acceptance.examination import Examination
from monica.acceptance.folder import PAGE, REPORT_HTML, REPORT_JSON, Folder
from monica.cli.progress import clock
from monica.config import Settings
from monica.engine.accelerator import accelerator
from monica.engine.acceptance import QUICK, Plan
from monica.engine.registry import EngineSpec, engine_specs
from monica.engine.registry import engine_spec as spec_of
from monica.errors import ConfigError

BAR_WIDTH = 24  # characters
INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("monica-accept"), show_default=True,
              help="The folder to write.")  # fmt: skip
@click.option("--cpu", is_flag=True, help="Examine the CPU. Without it, a machine without a GPU is refused.")
@click.option("--quick", is_flag=True, help="A few short takes of each part: whether everything runs, in a minute.")
@click.option("--scores", type=click.Path(path_type=Path), help="Add a sheet that the listening page has saved.")
def accept(output: Path, cpu: bool, quick: bool, scores: Path | None) -> None:
    """Examine this machine, in about ten minutes, on its first day.

    Device, clocks and power state; every graph against float32; tokens a second of 1 to 8 takes; first sound; S3Gen;
    200 takes for steadiness. The folder then holds report.html and report.json, which name no person, machine or
    folder, and ecoute.html, a blind listening test in French, which holds the voice and stays here. If it is
    interrupted, the same command goes on. The exit code is 1 if anything failed.
    """
    if scores is not None:
        _add_scores(output, scores)
        return
    settings = Settings.from_env()
    spec = _spec(settings, cpu)
    settings = replace(settings, engine=spec.name, device="cpu" if cpu else settings.device)
    logs.set_up("warning")
    plan = QUICK if quick else Plan()
    display = Bar()
    examination = Examination(spec, settings, plan, display)
    folder = Folder(output, settings, plan)
    if folder.resumed:
        display.say(f"Going on with the examination in {output}: what is done is not done again.")
    try:
        ok = examination.run(folder)
    except KeyboardInterrupt:
        display.say(f"Interrupted. The same command goes on; to start again, delete {output}.")
        sys.exit(INTERRUPTED)
    display.end()
    click.echo(f"To send:      {output / REPORT_HTML} and {output / REPORT_JSON}. They name no person and no folder.")
    if (output / PAGE).exists():
        click.echo(f"To listen to: {output / PAGE}. It holds the voice: it stays here.")
        click.echo(f"Afterwards:   monica accept -o {output} --scores notes-monica.json")
    click.echo("Everything passed." if ok else "Something failed: the report says what.")
    sys.exit(0 if ok else 1)


def _spec(settings: Settings, cpu: bool) -> EngineSpec:
    """Return the engine to examine. Raises ConfigError if there is no GPU and the CPU was not asked for."""
    found = None if cpu or settings.device == "cpu" else accelerator()
    if not cpu and found is None:
        raise ConfigError(
            "No GPU was found or asked for (see nvidia-smi and MONICA_DEVICE). To examine the CPU: monica accept --cpu"
        )
    named = None if settings.engine == "auto" else spec_of(settings.engine)
    able = [spec for spec in engine_specs() if spec.acceptance is not None and (cpu or found in spec.accelerators)]
    if named is None and not able:
        raise ConfigError("No engine of this Monica has anything to examine here.")
    return named or able[0]


def _add_scores(output: Path, scores: Path) -> None:
    """Add what a listener thought to the report of a folder. Raises ConfigError if either cannot be used."""
    try:
        whole = json.loads((output / REPORT_JSON).read_text(encoding="utf-8"))
        found = whole["parts"]["ear_test"]["found"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{output} holds no report with an ear test.") from error
    whole["scores"] = ear_test.evaluate(found, scores)
    (output / REPORT_HTML).write_text(report.render(whole), encoding="utf-8")
    (output / REPORT_JSON).write_text(json.dumps(whole, ensure_ascii=False, indent=1), encoding="utf-8")
    for row in sorted(whole["scores"], key=lambda row: -(row["natural"] or 0)):
        natural, voice = (("–" if row[score] is None else f"{row[score]:.2f}") for score in ear_test.SCORES)
        click.echo(f"{row['variant']:32} natural {natural}, voice {voice}, {row['defects']} defects")


class Bar:
    """Shows the examination on standard error: a bar on a terminal, otherwise a line for each part."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        self._title = ""

    def show(self, title: str, share: float) -> None:
        """Show the running part, and the share of all parts that is done."""
        if self._on_terminal:
            full = round(BAR_WIDTH * share)
            passed = clock(time.monotonic() - self._began)
            bar = f"[{'#' * full}{'-' * (BAR_WIDTH - full)}] {share:4.0%} {passed} {title}"
            sys.stderr.write(f"\r\x1b[K{bar[: shutil.get_terminal_size().columns - 1]}")
            sys.stderr.flush()
        elif title != self._title:
            click.echo(f"{share:4.0%} {title}", err=True)
        self._title = title

    def say(self, message: str) -> None:
        """Say something that stays."""
        self.end()
        click.echo(message, err=True)

    def end(self) -> None:
        """Leave the bar as it is, and start a new line."""
        if self._on_terminal and self._title:
            click.echo(err=True)
