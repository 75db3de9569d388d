"""The pages' JavaScript: its own tests under Node, and the size of its modules."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from monica.antenna.cue import Trouble
from tests.docs.test_reference import codes
from tests.support.server import ROOT
from tests.support.system import program

STATIC = ROOT / "monica/pages/static"
MODULES = sorted(STATIC.glob("*.mjs"))
MAX_LINES = 200
MAX_PAGE_BYTES = 150_000


def test_modules_do_what_their_tests_say() -> None:
    done = subprocess.run(
        [program("node"), "--test", *map(str, (ROOT / "tests/pages").glob("*.test.mjs"))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_modules_are_short_and_write_no_markup(module: Path) -> None:
    text = module.read_text()
    assert text.count("\n") < MAX_LINES
    assert text.startswith("// ")
    assert not any(word in text for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("))


def test_every_error_has_a_sentence_in_french() -> None:
    known = set(re.findall(r"^  ([a-z_]+): ", (STATIC / "errors.mjs").read_text(), re.MULTILINE))
    assert set(codes()) | set(Trouble) <= known | {"client_hung_up"}


def test_a_page_weighs_little() -> None:
    pages = sum(path.stat().st_size for path in (ROOT / "monica/pages").rglob("*") if path.is_file())
    assert pages < MAX_PAGE_BYTES
