"""The registry of engines: what is in it, and that an engine added to it is served like the others."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import soundfile
from click.testing import CliRunner

from monica.cli.installation import prefetch
from monica.config import LANGUAGES, Settings
from monica.engine import SynthesisParams, registry, selection
from monica.engine.chatterbox import spec as chatterbox
from monica.engine.piper import spec as piper
from monica.engine.registry import EMBEDDED, ENGINES, LAST_RESORT, engine_names, engine_spec, engine_specs
from monica.errors import ConfigError
from tests.support import third
from tests.support.server import ROOT, Server, clean_environment

ENGINE_MODULES = (
    "monica.engine.registry",
    "monica.engine.espeak",
    "monica.engine.espeak_child",
    "monica.engine.espeak_ipa",
    "monica.engine.espeak_library",
    "monica.engine.piper",
    "monica.engine.pico",
    "monica.engine.chatterbox",
    "monica.engine.ray",
)
NAMED_ELSEWHERE = {
    "monica.metrics",  # one help text lists the stages of every engine
    "monica.config",  # the settings of an engine are called like it
    "monica.cli",
    "monica.cli.ray",  # commands for Ray itself
    "monica.cli.render",
    "monica.render.cluster",
    "monica.listening.verdict",  # limits were measured for each voice by itself
    "monica.engine.torch.device",  # PyTorch is installed with the extra that is called like the engine
}


@pytest.fixture
def with_third(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENGINES, third.NAME, "tests.support.third.spec")


@pytest.fixture(scope="module")
def third_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("third")
    with Server(folder, third.SETTINGS | {"MONICA_CACHE_DIR": str(folder / "cache")}) as server:
        yield server.wait_ready()


def test_a_third_engine_speaks_over_http(third_server: Server) -> None:
    answer = third_server.say("Bonjour à tous.")
    assert (answer.status_code, answer.headers["X-Monica-Engine"]) == (200, third.NAME)
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert rate == 8000
    assert len(samples) / rate > 0.5
    assert np.abs(samples).max() > 0.05


def test_a_third_engine_is_in_health_and_in_the_log(third_server: Server) -> None:
    health = requests.get(f"{third_server.url}/health", timeout=10).json()
    assert (health["engine"], health["model"]) == (third.NAME, "toy")
    assert "engine: toy (MONICA_ENGINE=toy)" in third_server.log()


def test_a_third_engine_is_in_the_metrics(third_server: Server) -> None:
    text = requests.get(f"{third_server.url}/metrics", timeout=10).text
    assert dict(re.findall(r'^monica_engine\{engine="(\w+)"\} (\S+)$', text, re.MULTILINE)) == {
        "chatterbox": "0.0",
        "espeak": "0.0",
        "pico": "0.0",
        "piper": "0.0",
        "ray": "0.0",
        "toy": "1.0",
    }


def test_a_third_engine_is_in_the_openapi_document(third_server: Server) -> None:
    document = requests.get(f"{third_server.url}/openapi.json", timeout=10).json()
    assert list(engine_enums(document)) == [["chatterbox", "piper", "pico", "espeak", "ray", "toy"]] * len(
        list(engine_enums(document))
    )
    assert list(engine_enums(document)) != []


def engine_enums(node: Any) -> Iterator[list[str]]:
    """Yield the values of every X-Monica-Engine header in an OpenAPI document."""
    if isinstance(node, dict):
        if "enum" in node.get("X-Monica-Engine", {}).get("schema", {}):
            yield node["X-Monica-Engine"]["schema"]["enum"]
        node = list(node.values())
    for child in node if isinstance(node, list) else []:
        yield from engine_enums(child)


def test_doctor_examines_a_third_engine(tmp_path: Path) -> None:
    script = "from tests.support import third; third.add(); from monica.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "doctor"],
        cwd=ROOT,
        env=clean_environment(MONICA_ENGINE=third.NAME, MONICA_CACHE_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "listening:" not in line]  # if its extra is installed
    assert [line.partition(":")[0].removeprefix("ok").strip() for line in lines] == [
        "cache", "pico", "espeak", "engine", "toy box",
    ]  # fmt: skip
    assert lines[3:] == [
        "ok   engine: toy speaks here (MONICA_ENGINE=toy)",
        "ok   toy box: there is a toy that speaks fr",
    ]


@pytest.mark.usefixtures("with_third")
def test_settings_accept_a_third_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONICA_ENGINE", third.NAME)
    assert Settings.from_env().engine == third.NAME
    monkeypatch.setenv("MONICA_ENGINE", "sphinx")
    with pytest.raises(ConfigError, match=r"Must be one of: auto, chatterbox, piper, pico, espeak, ray, toy\."):
        Settings.from_env()


@pytest.mark.usefixtures("with_third")
def test_auto_chooses_the_engine_for_the_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "accelerator", lambda: "npu")
    assert selection.choose_engine(Settings()).name == third.NAME
    monkeypatch.setattr(selection, "accelerator", lambda: None)
    assert selection.choose_engine(Settings()).name in EMBEDDED


@pytest.mark.usefixtures("with_third")
@pytest.mark.parametrize(
    ("engine", "printed"),
    [
        (third.NAME, ["The toy is in its box"]),
        ("chatterbox", ["The checkpoint is downloaded"]),
        ("piper", ["The voice is downloaded"]),
        ("pico", ["The checkpoint is downloaded", "The toy is in its box"]),
        ("auto", ["The checkpoint is downloaded", "The toy is in its box"]),
    ],
)
def test_prefetch_downloads_for_the_engine_or_for_all(
    monkeypatch: pytest.MonkeyPatch, engine: str, printed: list[str]
) -> None:
    """If the engine has nothing to download, the files of the others that are installed are fetched."""
    for module, what, installed in ((chatterbox, "checkpoint", True), (piper, "voice", False)):
        spec = replace(
            module.SPEC,
            prefetch=lambda settings, what=what: f"The {what} is downloaded",
            installed=lambda here=installed: here,
        )
        monkeypatch.setattr(module, "SPEC", spec)
    monkeypatch.setenv("MONICA_ENGINE", engine)
    monkeypatch.setenv("MONICA_LISTEN", "off")
    done = CliRunner().invoke(prefetch, catch_exceptions=False)
    assert (done.exit_code, done.output.splitlines()) == (0, printed)


def test_prefetch_downloads_for_the_voice_that_stands_in_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, what in ((chatterbox, "checkpoint"), (piper, "voice")):
        spec = replace(module.SPEC, prefetch=lambda settings, what=what: f"The {what} is downloaded")
        monkeypatch.setattr(module, "SPEC", spec)
    monkeypatch.setenv("MONICA_ENGINE", "chatterbox")
    monkeypatch.setenv("MONICA_FALLBACK", "piper")
    monkeypatch.setenv("MONICA_LISTEN", "off")
    done = CliRunner().invoke(prefetch, catch_exceptions=False)
    assert done.output.splitlines() == ["The checkpoint is downloaded", "The voice is downloaded"]


def test_a_name_is_that_of_the_spec_and_of_the_engine() -> None:
    assert engine_names() == ("chatterbox", "piper", "pico", "espeak", "ray")
    assert tuple(spec.name for spec in engine_specs()) == engine_names()
    assert tuple(spec.make(Settings(device="cpu")).name for spec in engine_specs()) == engine_names()


def test_the_last_resort_needs_nothing() -> None:
    spec = engine_spec(LAST_RESORT)
    assert spec.installed()
    assert (spec.prefetch, spec.accelerators) == (None, frozenset())
    assert all(spec.why_not(Settings(language=language)) is None for language in LANGUAGES)
    assert EMBEDDED[-1] == LAST_RESORT


def test_embedded_engines_need_no_accelerator() -> None:
    assert [engine_spec(name).accelerators for name in EMBEDDED] == [frozenset()] * len(EMBEDDED)


@pytest.mark.parametrize("name", ENGINES)
def test_parameters_and_settings_of_an_engine_exist(name: str) -> None:
    spec = engine_spec(name)
    assert spec.parameters <= {field.name for field in fields(SynthesisParams)}
    assert spec.settings <= {field.metadata["name"] for field in fields(Settings)}


@pytest.mark.parametrize("name", ENGINES)
def test_settings_of_an_engine_are_read_by_it_alone(name: str) -> None:
    own = {field.name for field in fields(Settings) if field.metadata["name"] in engine_spec(name).settings}
    home = ENGINES[name].removesuffix(".spec")
    readers = {
        module
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in own and ast.unparse(node.value).endswith("settings")
    }
    assert {module for module in readers if not is_within(module, (home,))} == set()
    assert bool(readers) == bool(own)


def test_no_engine_is_named_outside_the_registry_and_its_own_module() -> None:
    names = re.compile(rf"\b(?:{'|'.join(engine_names())})\b")  # whole words: "array" names no engine
    named = {
        module
        for module, tree in modules()
        if not is_within(module, ENGINE_MODULES)
        for node in set(ast.walk(tree)) - documentation(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and names.search(node.value.lower())
    }
    assert named == NAMED_ELSEWHERE


def test_no_engine_is_imported_outside_its_own_module() -> None:
    homes = tuple(module.removesuffix(".spec") for module in ENGINES.values())
    importers = {
        (module, imported)
        for module, tree in modules()
        if not is_within(module, homes)
        for node in ast.walk(tree)
        for imported in imported_by(node)
        if is_within(imported, homes)
    }
    assert importers == set()


def test_settings_import_no_engine_and_no_numpy() -> None:
    script = (
        "import sys, monica.config; from monica.engine.registry import ENGINES;"
        "print([module for module in (*ENGINES.values(), 'numpy') if module in sys.modules])"
    )
    assert run(script) == ["[]"]


def test_specs_need_nothing_of_the_extra() -> None:
    """Where only espeak-ng is installed, the other engines can still be listed and refused."""
    script = (
        "import sys;"
        "sys.modules.update(dict.fromkeys(['torch', 'chatterbox', 'huggingface_hub', 'librosa', 'onnx', "
        "'onnxruntime', 'perth', 'py_nanotts', 'safetensors', 'soxr', 'tokenizers', 'torchaudio']));"
        "from monica.engine.registry import engine_specs; print([spec.name for spec in engine_specs()])"
    )
    assert run(script) == ["['chatterbox', 'piper', 'pico', 'espeak', 'ray']"]


def run(script: str) -> list[str]:
    """Run a script in a process of its own. Returns the lines it prints."""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "monica").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text())


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def documentation(tree: ast.Module) -> set[ast.AST]:
    """Return the strings that are statements by themselves: docstrings, of attributes too."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def imported_by(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return set()
