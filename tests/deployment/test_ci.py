"""Hosted CI, the commit hooks and the Makefile: they are valid, and what they name exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import MARKERS
from tests.support.server import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
MAY_BE_MISSING = {"engine/torch/"}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path)


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_the_workflow_is_valid(schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(WORKFLOW)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout


def test_the_workflow_runs_the_script_that_ci_is() -> None:
    (job,) = load(WORKFLOW)["jobs"].values()
    assert job["steps"][-1]["run"] == ".ci/run"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_hooks_run_what_the_lock_file_has() -> None:
    locked = {package["name"] for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    hooks = [hook for repo in load(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert {hook["id"] for hook in hooks} == {"ruff-check", "ruff-format", "uv-lock", "spelling"}
    for hook in hooks:
        assert hook["language"] == "system", "a hook of another repository would have another version"
        tool = re.sub(r"^uv run (--\S+ (?:dev )?)*", "", hook["entry"]).split()[0]
        assert tool in locked | {"uv"}, hook["entry"]


def test_every_target_is_declared_and_explained() -> None:
    """A target that is a file's name too would never run; one that no page names is not found."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
    phony = set(re.sub(r"\\\n", " ", MAKEFILE).partition(".PHONY:")[2].partition("\n")[0].split())
    assert targets == phony
    pages = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md", "Makefile"))
    assert [target for target in targets if f"`make {target}`" not in pages and f"make {target} " not in pages] == []


@pytest.mark.parametrize("name", sorted(set(MARKERS) - MAY_BE_MISSING))
def test_marked_tests_are_there(name: str) -> None:
    """A renamed test must not lose its marker unnoticed: it would slow `make check` down, or break it."""
    path, _, function = name.partition("::")
    assert (ROOT / "tests" / path).exists()
    assert not function or f"def {function}(" in (ROOT / "tests" / path).read_text(encoding="utf-8")


def test_spelling() -> None:
    checked = subprocess.run([sys.executable, "-m", "codespell_lib"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
