"""The Dockerfile, as far as it can be checked without building it. `make image-test` builds and runs it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from monica import __version__
from tests.support.server import ROOT

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = [
    line
    for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()
    if line.strip()
]
BOOKWORM_GLIBC = 36
BOOKWORM_PYTHON = (3, 11)
MACHINES = ("x86_64", "aarch64")


def stages() -> dict[str, list[str]]:
    """Return the instructions of each stage, beginning with its FROM."""
    found: dict[str, list[str]] = {}
    for line in INSTRUCTIONS:
        if line.startswith("FROM "):
            found[line.split()[-1]] = []
        if found:
            found[list(found)[-1]].append(line)
    return found


def ancestry(name: str) -> list[str]:
    """Return every instruction that makes the image of a stage, beginning with its base."""
    lines = stages()[name]
    parent = lines[0].split()[1]
    return (ancestry(parent) if parent in stages() else []) + lines


def test_nothing_depends_on_one_architecture() -> None:
    code = "\n".join(INSTRUCTIONS)
    assert not re.search(r"amd64|x86|arm64|aarch64|linux-gnu|--platform|sm_\d|https?://", code)


def test_all_stages_have_one_base() -> None:
    outside = {lines[0].split()[1] for lines in stages().values()} - set(stages())
    assert outside == {"debian:bookworm-slim"}
    assert list(stages())[-1] == "monica", "`docker build .` makes the last stage"


@pytest.mark.parametrize("target", ["slim", "monica"])
def test_final_stage(target: str) -> None:
    lines = ancestry(target)
    installed = " ".join(line for line in lines if line.startswith("RUN"))
    assert not re.search(
        r"\bgcc\b|\bmake\b|build-essential|-dev\b|python3-venv|\bpip\b|\buv\b|\bcurl\b|\bgit\b", installed
    )
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1] == "1000:1000", "by number: from a name, orchestrators cannot tell that it is not root"
    for instruction in ("HEALTHCHECK ", "ENTRYPOINT [", "CMD [", "VOLUME [", "LABEL "):
        assert any(line.startswith(instruction) for line in lines), instruction
    assert not any(line.startswith("ADD ") for line in lines)


def test_version_label() -> None:
    assert f'image.version="{__version__}"' in TEXT


def test_wheels_are_cached_and_locked() -> None:
    for line in INSTRUCTIONS:
        if "pip install" in line or "--no-install-project" in line:
            assert "--mount=type=cache" in line, line
        elif "uv sync" in line:
            assert "--no-cache" in line, (
                "uv would take the last wheel of Monica from the cache, whatever has changed since"
            )
        if "uv sync" in line:
            assert "--locked" in line, line


def test_build_context_has_only_named_files() -> None:
    """The build context is a list of allowed files, and every COPY takes from it."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied: set[str] = set()
    for line in INSTRUCTIONS:
        if line.startswith("COPY ") and "--from=" not in line:
            copied |= set(line.split()[1:-1])
    assert copied == allowed
    assert all((ROOT / name).exists() for name in allowed)


@cache
def packages() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        found.setdefault(package["name"], []).append(package)
    return found


def environment(machine: str) -> dict[str, str]:
    version = ".".join(map(str, BOOKWORM_PYTHON))
    return {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": machine,
        "python_version": version,
        "python_full_version": f"{version}.2",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def installed(machine: str) -> Iterator[dict[str, Any]]:
    """Yield the packages that `uv sync --extra chatterbox --extra ray` installs on a machine."""
    root = packages()["monica"][0]
    ahead = [*root["dependencies"], *root["optional-dependencies"]["chatterbox"], *root["optional-dependencies"]["ray"]]
    seen: set[tuple[str, str, str]] = set()
    while ahead:
        wanted = ahead.pop()
        if "marker" in wanted and not Marker(wanted["marker"]).evaluate(environment(machine) | {"extra": ""}):
            continue
        (package,) = [
            package
            for package in packages()[wanted["name"]]
            if wanted.get("version", package["version"]) == package["version"]
        ]
        for extra in ("", *wanted.get("extra", [])):
            key = (package["name"], package["version"], extra)
            if key in seen:
                continue
            seen.add(key)
            if not extra:
                yield package
            ahead += package["optional-dependencies"][extra] if extra else package.get("dependencies", [])


def tags(machine: str) -> set[Tag]:
    glibcs = [f"_2_{minor}" for minor in range(5, BOOKWORM_GLIBC + 1)] + ["2014"]
    platforms = [f"manylinux{glibc}_{machine}" for glibc in glibcs] + [f"linux_{machine}"]
    return {*cpython_tags(BOOKWORM_PYTHON, platforms=platforms), *compatible_tags(BOOKWORM_PYTHON, "cp311", platforms)}


@pytest.mark.parametrize("machine", MACHINES)
def test_every_package_has_a_wheel(machine: str) -> None:
    """Every package in the lock file has a wheel for Debian bookworm, because the build stage has no compiler."""
    fitting, without = tags(machine), []
    names = set()
    for package in installed(machine):
        names.add(package["name"])
        wheels = [wheel["url"].rpartition("/")[2] for wheel in package.get("wheels", [])]
        if not any(parse_wheel_filename(wheel)[3] & fitting for wheel in wheels):
            without.append(package["name"])
    assert without == []
    assert {"flask", "torch", "nvidia-cublas", "av", "espeakng-loader", "ray"} <= names
