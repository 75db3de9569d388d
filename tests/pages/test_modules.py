"""The pages' JavaScript: its own tests under Node, and the size of its modules."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from monica.antenna.cue import Trouble
from tests.docs.test_reference import codes
from tests.support.server import ROOT
from tests.support.system import program
from tests.warming.book import test_wrong_books as books

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


def test_what_is_wrong_with_a_book_is_said_in_french() -> None:
    """Of every wrong book that the tests of books know. What the TOML parser says keeps its own words, in brackets."""
    blocks, mistakes, files = (
        vars(test)["pytestmark"][0].args[1]  # what it is parametrized with
        for test in (
            books.test_a_wrong_block_is_refused,
            books.test_a_mistake_outside_the_blocks_is_refused,
            books.test_a_file_that_is_not_toml_is_refused,
        )
    )
    wrong = [f"{books.PLAYERS}[[phrases]]\n{block}\n" for block, _ in blocks]
    wrong += [source for source, _ in mistakes + files]
    said = [f"tournoi.toml, {books.refusal(source)}".replace("tournoi.toml, tournoi", "tournoi") for source in wrong]
    script = (
        f"import {{ bookFault }} from '{STATIC}/faults.mjs';"
        "import { readFileSync } from 'node:fs';"
        "console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(bookFault)));"
    )
    done = subprocess.run(
        [program("node"), "--input-type=module", "-e", script], input=json.dumps(said), capture_output=True, text=True,
    )  # fmt: skip
    french = json.loads(done.stdout)
    assert len(french) == len(said) > 80
    not_toml = [text for text in french if "pas du TOML" in text]
    assert len(not_toml) == 6
    for text in set(french) - set(not_toml):
        assert not re.search(r"\b(the|is|are|has|must|line|at most|a roster)\b", text), text


def test_a_page_weighs_little() -> None:
    pages = sum(path.stat().st_size for path in (ROOT / "monica/pages").rglob("*") if path.is_file())
    assert pages < MAX_PAGE_BYTES
