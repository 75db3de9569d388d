"""`monica ray`, with replicas and without a Ray."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from monica.cli import main
from tests.support.engines import ToyEngine
from tests.support.replicas import replicas


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    with replicas(tmp_path, ToyEngine()) as (_, settings):
        yield {"MONICA_RAY_ADDRESS": str(settings.ray_address), "MONICA_RAY_TOKEN_FILE": str(settings.ray_token_file)}


def run(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(main, ["ray", *arguments], env=environment, prog_name="monica")


def test_status_says_who_speaks(environment: dict[str, str]) -> None:
    done = run(environment, "status")
    assert done.exit_code == 0, done.output
    assert done.output == (
        f"espeak: toy, on the replicas of {environment['MONICA_RAY_ADDRESS']}, on cpu; checkpoint toy 1\n"
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"MONICA_RAY_ADDRESS": "http://127.0.0.1:9"}, "http://127.0.0.1:9: Connection refused"),
        ({"MONICA_RAY_TOKEN_FILE": "/nowhere"}, "MONICA_RAY_TOKEN_FILE='/nowhere' cannot be read"),
        ({"MONICA_LANGUAGE": "de"}, "MONICA_LANGUAGE is de here, and fr on the replicas."),
    ],
)
def test_status_fails_with_one_line(environment: dict[str, str], wrong: dict[str, str], said: str) -> None:
    done = run(environment | wrong, "status")
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_deploy_gives_serve_the_file_and_waits(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "serve.yaml"
    config.touch()
    given: list[list[str]] = []

    def serve(command: list[str], check: bool) -> SimpleNamespace:
        given.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", serve)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    done = run(environment, "deploy", str(config), "--dashboard", "http://head:8265")
    assert done.exit_code == 0, done.output
    assert "checkpoint toy 1" in done.output
    ((_, *arguments),) = given
    assert arguments == ["deploy", str(config), "--address", "http://head:8265"]
