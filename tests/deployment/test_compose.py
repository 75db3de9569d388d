"""The compose files, read as Docker Compose reads them."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from monica.config import Settings
from tests.support.server import ROOT, clean_environment
from tests.support.settings import written

BASE, CPU = ROOT / "docker-compose.yml", ROOT / "docker-compose.cpu.yml"
EXAMPLE = ROOT / ".env.example"
SETTINGS = {field.metadata["name"]: field for field in fields(Settings)}
COMPOSE_OWN = {"COMPOSE_PROFILES", "COMPOSE_FILE"}


def load(path: Path) -> dict[str, Any]:
    """Return a compose file's content. Tags such as `!reset` are ignored."""
    document: dict[str, Any] = YAML().load(path)
    return document


def monica() -> dict[str, Any]:
    service: dict[str, Any] = load(BASE)["services"]["monica"]
    return service


def variables(path: Path) -> dict[str, str]:
    """Return the variables that a compose file uses, with their defaults."""
    found = re.findall(r"(?<!\$)\$\{(\w+)(?::?-([^}]*))?\}", path.read_text(encoding="utf-8"))
    return dict(found)


def example() -> dict[str, str]:
    """Return the variables that .env.example shows, with their values."""
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", [BASE, CPU], ids=lambda path: path.name)
def test_specification(path: Path, tmp_path: Path) -> None:
    document = tmp_path / "compose.json"
    document.write_text(json.dumps({k: v for k, v in load(path).items() if v is not None}))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(document)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("files", [[BASE], [BASE, CPU]], ids=["gpu", "cpu"])
def test_docker_compose_config(files: list[Path]) -> None:
    environment = clean_environment(COMPOSE_DISABLE_ENV_FILE="1", COMPOSE_PROFILES="nginx,monitoring,cluster")
    chosen = [argument for file in files for argument in ("--file", str(file))]
    command = ["docker", "compose", *chosen, "config", "--format", "json"]
    try:
        subprocess.run(["docker", "compose", "version"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("Docker Compose is not installed on this machine")
    config = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert config.returncode == 0, config.stderr
    assert not config.stderr
    service = json.loads(config.stdout)["services"]["monica"]
    assert bool(service["deploy"]["resources"].get("reservations")) == (CPU not in files)
    assert service["build"].get("target") == ("slim" if CPU in files else None)


@pytest.mark.parametrize("path", [BASE, CPU, EXAMPLE], ids=lambda path: path.name)
def test_every_monica_variable_is_a_setting(path: Path) -> None:
    """A variable for compose alone may not look like a setting: Monica gets .env too, and would refuse it."""
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"\bMONICA_[A-Z0-9_]+", text)) - {"MONICA_"}
    assert named <= set(SETTINGS)


def test_example_shows_every_variable() -> None:
    asked = variables(BASE) | variables(CPU)
    shown = example()
    assert set(asked) <= set(shown)
    assert set(shown) <= set(asked) | set(SETTINGS) | COMPOSE_OWN


def test_example_shows_the_defaults() -> None:
    asked = variables(CPU) | variables(BASE)
    for name, value in example().items():
        if name in asked:
            assert value == asked[name], name
        elif name in SETTINGS and name not in ("MONICA_LEXICON", "MONICA_API_KEY"):
            assert value == written(SETTINGS[name]), name


def test_example_is_all_comments() -> None:
    """A copy of the file changes nothing until it is edited."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_settings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in monica()["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", value))
    settings = Settings.from_env()
    assert (settings.engine, settings.device) == ("chatterbox", "cuda")
    assert settings.reference_audio == Path("/venue/26-monica--interview.wav")


def test_grace_outlasts_the_last_take() -> None:
    default = variables(BASE)["STOP_GRACE_PERIOD"]
    graceful_timeout = math.ceil(Settings().deadline_s) + 5
    assert int(default.removesuffix("s")) >= graceful_timeout + 10


def test_hardened() -> None:
    service = monica()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "/tmp" in service["tmpfs"]
    assert not {"privileged", "network_mode", "pid", "user"} & set(service)
    settings = Settings()
    needed = 3 * (settings.threads + settings.queue_size) + 1000
    assert service["ulimits"]["nofile"] > needed


@pytest.mark.parametrize("name", ["monica", "prometheus", "grafana"])
def test_ports_are_published_to_this_machine_only(name: str) -> None:
    for port in load(BASE)["services"][name]["ports"]:
        assert re.match(r"(127\.0\.0\.1|\$\{LISTEN:-127\.0\.0\.1\}):", port)


def test_mounts() -> None:
    """Whatever is mounted from the repository exists, and is mounted read-only."""
    document = load(BASE)
    for service in document["services"].values():
        for volume in service["volumes"]:
            source, _, rest = volume.partition(":") if not volume.startswith("$") else (None, None, volume)
            if source in document["volumes"]:
                continue
            assert rest.endswith(":ro"), volume
            if source is not None:
                assert os.path.lexists(ROOT / source), volume


def test_nodes_of_a_cluster_differ_in_their_port_gpu_and_cache() -> None:
    services = load(BASE)["services"]
    nodes = [services[name] for name in ("monica", "monica-2", "monica-3")]
    own = ("profiles", "ports", "volumes", "deploy")
    alike = [{name: value for name, value in dict(node).items() if name not in own} for node in nodes]
    assert alike[0] == alike[1] == alike[2]
    site = (ROOT / "nginx" / "cluster.conf").read_text(encoding="utf-8")
    for number, node in enumerate(nodes[1:], 1):
        (port,), (device,) = node["ports"], node["deploy"]["resources"]["reservations"]["devices"]
        assert f"server 127.0.0.1:{port.split(':')[-2]} " in site
        assert device["device_ids"] == [str(number)]
        assert f"cache-{number + 1}:/data/cache" in node["volumes"]
        assert node["deploy"]["resources"]["limits"] == nodes[0]["deploy"]["resources"]["limits"]
    for service in ("nginx-cluster", "store", "monica-2", "monica-3"):
        assert services[service]["profiles"] == ["cluster"]


def test_files_contain_no_secret() -> None:
    text = BASE.read_text(encoding="utf-8") + CPU.read_text(encoding="utf-8") + EXAMPLE.read_text(encoding="utf-8")
    for name, value in re.findall(r"(\w*(?:PASSWORD|KEY|TOKEN|SECRET)\w*)[=:][ \t]*(\S*)", text):
        assert re.fullmatch(r"|\$\{\w+:-\}", value), name
