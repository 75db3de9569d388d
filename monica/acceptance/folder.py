"""The folder that an examination writes: one file for each part that is done, so that it can be interrupted."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from dataclasses import astuple
from pathlib import Path
from typing import Any

from monica import __version__
from monica.config import Settings
from monica.engine.acceptance import Plan, Result
from monica.errors import ConfigError

REPORT_JSON, REPORT_HTML, PAGE = "report.json", "report.html", "ecoute.html"
_PARTS, _SAMPLES, _MARK = "parts", "samples", "examination.json"
_PATH = re.compile(r"(?<![\w.~])~?/(?:[^/'\"\n]*/)*(?=[^/\s'\"])")
"""A path up to its last part. Folders may have spaces in their names: rather too much is taken out than too little."""


class Folder:
    """Everything an examination has found so far.

    An examination of the same version, settings and plan goes on with what is done. Any other starts again, and so does
    one that has been completed.

    Raises ConfigError if the folder cannot be used, or holds something else.
    """

    def __init__(self, path: Path, settings: Settings, plan: Plan) -> None:
        self.path = path
        wanted = hashlib.sha256(repr((__version__, settings, astuple(plan))).encode()).hexdigest()
        try:
            mark = self._open(wanted)
        except OSError as error:
            raise ConfigError(f"{path} cannot be used: {error.strerror}.") from error
        self.seed: int = mark["seed"]
        """Decides the order of the ear test."""

    def _open(self, wanted: str) -> dict[str, Any]:
        """Return what marks the examination, which is a new one unless it can go on."""
        mark = _read_json(self.path / _MARK)
        self.resumed = mark is not None and mark.get("of") == wanted and not (self.path / REPORT_JSON).exists()
        """Whether parts of an interrupted examination are there."""
        if mark is None and self.path.is_dir() and any(self.path.iterdir()):
            raise ConfigError(f"{self.path} holds something else than an examination: give an empty folder.")
        if mark is None or not self.resumed:
            for name in (_PARTS, _SAMPLES):
                shutil.rmtree(self.path / name, ignore_errors=True)
            for name in (REPORT_JSON, REPORT_HTML, PAGE):
                (self.path / name).unlink(missing_ok=True)
            self.path.mkdir(parents=True, exist_ok=True)
            mark = {"of": wanted, "seed": secrets.randbits(32)}
            _write_json(self.path / _MARK, mark)
        for name in (_PARTS, _SAMPLES):
            (self.path / name).mkdir(exist_ok=True)
        return mark

    def done(self, part: str) -> Result | None:
        """Return what a part found; None if it is not done."""
        return _read_json(self.path / _PARTS / f"{part}.json")

    def keep(self, part: str, result: Result) -> None:
        """Keep what a part found. It is done then."""
        _write_json(self.path / _PARTS / f"{part}.json", result)

    def sample(self, name: str) -> Path:
        """Return where a sample of the ear test is, or is to be."""
        return self.path / _SAMPLES / f"{name}.wav"

    def write(self, name: str, text: str) -> Path:
        """Write a page or a report, whole or not at all."""
        return _write(self.path / name, text)


def without_paths(message: str) -> str:
    """Return a message without the folders in it: they may name a person or a place."""
    return _PATH.sub("…/", message)


def _read_json(path: Path) -> Result | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # a file that was cut short is not done
        return None
    return found if isinstance(found, dict) else None


def _write_json(path: Path, content: Result) -> None:
    _write(path, json.dumps(content, ensure_ascii=False, indent=1))


def _write(path: Path, text: str) -> Path:
    unfinished = path.with_suffix(path.suffix + ".part")
    unfinished.write_text(text, encoding="utf-8")
    return unfinished.replace(path)
