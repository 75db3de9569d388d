"""The tree of errors in the docstring of monica.errors is that of the classes."""

from __future__ import annotations

import ast
import importlib
import re

import monica.errors
from monica.errors import MonicaError
from tests.test_architecture import MODULES

LINE = re.compile(r"^(?P<indent>(?:[│ ] {3})*(?:[├└]── )?)(?P<name>[A-Z]\w+) +(?P<status>\d{3}) (?P<rest>.*)$")
SHARED = {"model_failed", "request_invalid", "internal"}
"""Codes that more than one class has."""


def error_classes() -> list[type[MonicaError]]:
    """Return MonicaError and every class derived from it, wherever it is defined."""
    for module, path in MODULES.items():
        bases = {
            base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ClassDef)
            for base in node.bases
        }
        if any(base == "MonicaError" or base in vars(monica.errors) for base in bases):
            importlib.import_module(module)
    found, todo = [], [MonicaError]
    while todo:
        found.append(todo.pop())
        todo += [error for error in found[-1].__subclasses__() if error.__module__.startswith("monica.")]
    return found


def drawn() -> set[tuple[str, str, str, int, tuple[str, ...]]]:
    """Return the classes as they are drawn: name, parent, module, status, codes."""
    found: set[tuple[str, str, str, int, tuple[str, ...]]] = set()
    path: list[str] = []
    for line in (monica.errors.__doc__ or "").splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        path = [*path[: len(match["indent"]) // 4], match["name"]]
        parts = re.split(r" {2,}", match["rest"])
        module = next((part.partition(",")[0] for part in parts[1:] if part.startswith("monica.")), "monica.errors")
        parent = path[-2] if len(path) > 1 else "Exception"
        found.add((match["name"], parent, module, int(match["status"]), tuple(parts[0].split(", "))))
    return found


def test_tree_in_the_docstring_is_that_of_the_classes() -> None:
    real = {
        (error.__name__, error.__base__.__name__ if error.__base__ else "", error.__module__, error.status,
         tuple(error.described_codes()))
        for error in error_classes()
    }  # fmt: skip
    assert drawn() == real


def test_default_code_is_one_of_the_described_codes() -> None:
    for error in error_classes():
        assert error.code in error.described_codes()


def test_a_code_belongs_to_one_class() -> None:
    codes = [code for error in error_classes() for code in error.described_codes()]
    assert {code for code in codes if codes.count(code) > 1} == SHARED
