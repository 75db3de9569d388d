"""Runs the parts of an examination one after the other, goes on after an interruption, and writes the report."""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from monica import __version__
from monica.acceptance import ear_test, report
from monica.acceptance.folder import PAGE, REPORT_HTML, REPORT_JSON, Folder, without_paths
from monica.acceptance.parts import VOICE, measure_first_audio, measure_steadiness
from monica.acceptance.sentences import SENTENCES
from monica.config import Settings
from monica.engine import Engine, Reference, is_cloning
from monica.engine.acceptance import QUICK, Acceptance, Plan, Result, Tick
from monica.engine.registry import EngineSpec
from monica.errors import ConfigError, DeviceLost, MonicaError
from monica.text.frontend import TextFrontend
from monica.voices.recording import read_reference

FORMAT = "monica-accept 1"


class Display(Protocol):
    """Shows how far the examination is."""

    def show(self, title: str, share: float) -> None:
        """Show the running part, and the share of all parts that is done."""

    def say(self, message: str) -> None:
        """Say something that stays."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the examination."""

    name: str
    title: str
    weight: float
    """About how many seconds it takes on a GPU."""
    run: Callable[[Tick], Result]


class Examination:
    """Examines an engine on this machine.

    Raises ConfigError if there is nothing to examine, or what it needs is not here.
    """

    def __init__(self, spec: EngineSpec, settings: Settings, plan: Plan, display: Display) -> None:
        if spec.acceptance is None:
            raise ConfigError(f"{spec.title} needs no examination: it needs no GPU and has no weights.")
        spec.require_installed("accept")
        self._spec, self._settings, self._plan, self._display = spec, settings, plan, display
        self._acceptance: Acceptance = spec.acceptance()
        self._acceptance.require(settings)
        self._frontend = TextFrontend(settings)
        self._reference = self._read_reference()
        self._engine: tuple[Settings, Engine] | None = None
        self._device_lost = False

    def run(self, folder: Folder) -> bool:
        """Run what is not done yet, and write the report. Returns whether nothing is wrong."""
        self._folder = folder
        parts = self._parts()
        total, before = sum(part.weight for part in parts), 0.0
        found: dict[str, Result] = {}
        stopped: str | None = None
        for part in parts:
            result = self._folder.done(part.name)
            if result is None and stopped is not None:
                result = {"ok": False, "error": f"Left out, because of: {stopped}"}
            elif result is None:
                share = partial(self._show, part, before, total)
                share(0.0)
                result = self._run(part, share)
            found[part.name] = {"title": part.title, **result}
            if not result["ok"] and (part.name in ("device", "start") or self._device_lost):
                stopped = stopped or part.title
            before += part.weight
        self._display.show("report", 1.0)
        return self._write_report(found)

    def _show(self, part: Part, before: float, total: float, share: float) -> None:
        self._display.show(part.title, (before + share * part.weight) / total)

    def _run(self, part: Part, tick: Tick) -> Result:
        began = time.monotonic()
        try:
            found = part.run(tick)
        except (ConfigError, MonicaError) as error:
            self._device_lost = isinstance(error, DeviceLost)
            return {"ok": False, "error": without_paths(str(error))}
        except Exception as error:
            # The other parts may say why. The traceback is in the log: it names folders.
            logging.getLogger(__name__).exception("%s failed", part.title)
            return {"ok": False, "error": without_paths(f"{type(error).__name__}: {error}".partition("\n")[0])}
        result = {"ok": True, "seconds": round(time.monotonic() - began, 1), "found": found}
        self._folder.keep(part.name, result)
        return result

    def _parts(self) -> list[Part]:
        plan, text = self._plan, self._said(SENTENCES[0])
        texts = [self._said(sentence) for sentence in SENTENCES]
        measures = [
            Part(name, name, 40, lambda tick, measure=measure: measure(self._usual(), plan, tick))  # type: ignore[misc]
            for name, measure in self._acceptance.measures.items()
        ]
        return [
            Part("device", "device", 5, lambda _: self._acceptance.describe_device(self._settings, plan)),
            Part("start", "loading and self-test", 60, self._start),
            *measures,
            Part("first_audio", "first sound", 10, lambda tick: measure_first_audio(self._usual(), text, plan, tick)),
            Part(
                "steadiness",
                "steadiness",
                150,
                lambda tick: measure_steadiness(self._usual(), texts, plan, tick, self._acceptance.used_memory),
            ),
            Part("ear_test", "sounds for the ear test", 240, self._make_samples),
        ]

    def _start(self, _tick: Tick) -> Result:
        """Load, with the self-test of every graph. Its refusal is what the part fails with."""
        began = time.monotonic()
        with _lines_of("monica.engine", self._acceptance.log) as lines:
            engine = self._engine_of(self._settings)
        return {
            "model": engine.model,
            "seconds": round(time.monotonic() - began, 1),
            "takes side by side": engine.slots,
            "voice": "the model's own" if self._reference is None else "cloned from REFERENCE_AUDIO",
            "log": [without_paths(line) for line in lines],
        }

    def _make_samples(self, tick: Tick) -> Result:
        variants = self._acceptance.variants(self._settings)
        sentences = SENTENCES[: self._plan.sentences]
        return ear_test.make_samples(
            variants, sentences, self._said, self._engine_of, self._folder, self._plan.max_tokens, self._settings, tick
        )

    def _write_report(self, found: dict[str, Result]) -> bool:
        ok = all(result["ok"] for result in found.values())
        whole: dict[str, Any] = {
            "format": FORMAT,
            "monica": __version__,
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "engine": self._spec.name,
            "quick": self._plan == QUICK,
            "ok": ok,
            "parts": found,
        }
        heard = found["ear_test"]
        if heard["ok"]:
            self._folder.write(PAGE, ear_test.page(heard["found"], self._folder))
        self._folder.write(REPORT_HTML, report.render(whole))
        self._folder.write(REPORT_JSON, json.dumps(whole, ensure_ascii=False, indent=1))  # last: it completes it
        return ok

    def _usual(self) -> Engine:
        return self._engine_of(self._settings)

    def _engine_of(self, settings: Settings) -> Engine:
        """Return an engine made with these settings, loaded, with its voice. One at a time is in memory."""
        if self._engine is not None and self._engine[0] == settings:
            return self._engine[1]
        self._engine = None
        gc.collect()  # what a loaded model holds may hang in cycles
        self._acceptance.release()
        engine = self._spec.make(settings)
        engine.load()
        if is_cloning(engine):
            engine.add_voice(VOICE, engine.make_conditionals(self._reference))
        self._engine = settings, engine
        return engine

    def _read_reference(self) -> Reference | None:
        """Return the recording of REFERENCE_AUDIO, if it is there: an examination does not need it."""
        path = self._settings.reference_audio
        if path is None or not path.is_file():
            return None
        return read_reference(path, self._settings.reference_duration_s, self._settings.reference_start_s)

    def _said(self, text: str) -> str:
        return self._frontend.prepare(text, self._spec.name).said


@contextmanager
def _lines_of(name: str, beginnings: tuple[str, ...]) -> Iterator[list[str]]:
    """Collect the log's warnings, and the lines that begin so, whether or not they are shown."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING or record.getMessage().startswith(beginnings):
                lines.append(record.getMessage())

    logger, collector = logging.getLogger(name), Collector(logging.INFO)
    before, passes = logger.level, logger.propagate
    logger.addHandler(collector)
    logger.setLevel(logging.INFO)
    # Without this, the root's handlers would show every line that the level lets through now.
    logger.propagate = False
    try:
        yield lines
    finally:
        logger.removeHandler(collector)
        logger.setLevel(before)
        logger.propagate = passes
