"""What lies in deploy/kubernetes, as Kubernetes would get it.

kustomize itself is not run: `merged` does what its strategic merge does to the patches there are.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.server import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
BASE = FOLDER / "base"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())

Document = dict[str, Any]


def load(path: Path) -> list[Document]:
    return [document for document in YAML(typ="safe").load_all(path) if document]


def kustomization(folder: Path) -> Document:
    (document,) = load(folder / "kustomization.yaml")
    return document


@cache
def base() -> list[Document]:
    return [document for name in kustomization(BASE)["resources"] for document in load(BASE / name)]


@cache
def overlay(name: str) -> list[Document]:
    """Return every document of an overlay: the base's, its own, and its patches applied to them."""
    folder = FOLDER / "overlays" / name
    described = kustomization(folder)
    first, *own = described["resources"]
    assert (folder / first).resolve() == BASE
    documents = base() + [document for each in own for document in load(folder / each)]
    for patch in (document for each in described["patches"] for document in load(folder / each["path"])):
        at = documents.index(_named(documents, patch["kind"], patch["metadata"]["name"]))
        remains = [] if patch.get("$patch") == "delete" else [merged(documents[at], patch)]
        documents[at : at + 1] = remains
    return documents


def merged(base: Any, patch: Any) -> Any:
    """Merge a patch as kustomize does: lists of what has a name by that name, other lists as a whole."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return base | {key: merged(base[key], value) if key in base else value for key, value in patch.items()}
    if isinstance(base, list) and isinstance(patch, list) and all("name" in each for each in base + patch):
        named = {each["name"]: each for each in base}
        return list((named | {each["name"]: merged(named.get(each["name"], {}), each) for each in patch}).values())
    return patch


def find(kind: str, name: str = "monica", within: str = "") -> Document:
    """Return one document of the base, or of the overlay that is named."""
    return _named(overlay(within) if within else base(), kind, name)


def _named(documents: list[Document], kind: str, name: str) -> Document:
    (found,) = [each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name]
    return found
