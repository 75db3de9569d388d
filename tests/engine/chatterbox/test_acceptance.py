"""monica accept on a small checkpoint, whole, on the CPU; and what it examines of Chatterbox."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from click.testing import CliRunner

from monica.cli import main
from monica.config import Settings
from monica.engine.acceptance import QUICK
from monica.engine.chatterbox import ChatterboxEngine, acceptance, weights
from monica.engine.torch import gpu_state
from monica.errors import ConfigError


@pytest.mark.usefixtures("two_steps")
def test_whole_examination(checkpoint_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_s3gen = weights.load_s3gen

    def load_shallow(*arguments: Any, **options: Any) -> Any:
        module = load_s3gen(*arguments, **options)
        module.flow.decoder.estimator.mid_blocks = module.flow.decoder.estimator.mid_blocks[:2]
        return module

    monkeypatch.setattr(weights, "load_s3gen", load_shallow)
    monkeypatch.setattr("monica.logs.set_up", lambda level: None)  # it would silence the log of the tests after this
    environment = {
        "MONICA_MODEL_DIR": str(checkpoint_dir),
        "MONICA_CACHE_DIR": str(tmp_path / "cache"),
        "REFERENCE_AUDIO": "",
    }
    output = tmp_path / "examination"
    done = CliRunner(env=environment).invoke(main, ["accept", "--cpu", "--quick", "-o", str(output)])
    assert done.exit_code == 0, done.output
    report = json.loads((output / "report.json").read_text())
    assert report["ok"]
    found: dict[str, Any] = {name: part["found"] for name, part in report["parts"].items()}
    assert found["device"]["PyTorch"] == torch.__version__
    assert found["start"]["model"].startswith("chatterbox-multilingual t3 v3 fp32")
    assert any(line.startswith("precision: fp32") for line in found["start"]["log"])
    assert [row["takes"] for row in found["pace"]["rows"]] == [1, 2, 3, 4, 6, 8]
    assert all(row["tokens a second"] > 0 for row in found["pace"]["rows"])
    assert all(0 < row["share of the memory's speed"] < 2 for row in found["pace"]["rows"])
    assert [row["seconds of sound"] for row in found["s3gen"]["rows"]] == [0.16]
    assert found["steadiness"]["takes"] == QUICK.takes
    variants = found["ear_test"]["variants"]
    assert [name.split(", S3Gen")[0] for name in variants[:4]] == [
        "T3 v3, cfg 0.5",
        "T3 v3, cfg 0.3",
        "T3 v3, cfg 0.7",
        "T3 v2, cfg 0.5",
    ]
    sounds = sorted((output / "samples").iterdir())
    assert len(sounds) == len(variants) * QUICK.sentences
    assert all(soundfile.info(sound).samplerate == 24_000 for sound in sounds)
    page = (output / "ecoute.html").read_text()
    assert page.count("<audio ") == len(sounds)


def test_what_is_not_here_is_not_compared(settings: Settings, checkpoint_dir: Path, tmp_path: Path) -> None:
    names = [variant.name for variant in acceptance.variants(settings)]
    assert any(name.startswith("T3 v2") for name in names)
    for path in checkpoint_dir.iterdir():
        if "v2" not in path.name and "meanflow" not in path.name:
            (tmp_path / path.name).symlink_to(path)
    without = acceptance.variants(dataclasses.replace(settings, model_dir=tmp_path))
    assert [variant.params.cfg_weight for variant in without] == [0.5, 0.3, 0.7]
    assert {variant.settings.t3 for variant in without} == {"v3"}


def test_weights_that_are_not_here_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"MONICA_MODEL_DIR=.* lacks"):
        acceptance.require(Settings(model_dir=tmp_path))
    monkeypatch.setattr("monica.engine.chatterbox.checkpoint.find", lambda settings: None)
    with pytest.raises(ConfigError, match=r"^The weights are not on this machine\. Run: monica prefetch$"):
        acceptance.require(Settings())


def test_bytes_of_a_step(engine: ChatterboxEngine) -> None:
    """Of two layers 16 squares of the width each, and the head; of a position four rows of the width in each layer."""
    model = engine.loaded_model
    fused = sum(
        matrix.numel()
        for layer in model.t3.llama.layers
        for matrix in (layer.qkv._matrix, layer.out._matrix, layer.gate_up._matrix, layer.down._matrix)
    )
    head = model.t3.front.speech_head.weight.numel()
    assert acceptance._weight_bytes(model) == 4 * (fused + head)
    assert acceptance._position_bytes(model) == 2 * 2 * 2 * 1024 * 4


def test_measuring_the_pace_leaves_no_take_behind(engine: ChatterboxEngine) -> None:
    tokens, seconds, positions = acceptance._generate(engine.loaded_model, 2, 3)
    assert (tokens, engine.loaded_model.t3.running) == (6, [])
    assert seconds > 0
    assert positions > 8


def test_state_of_a_gpu_is_what_nvidia_smi_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho '580.95.05, P8, 513, 3003, [N/A], 11.2, [Not Supported], 41, 0x0000000000000004'"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert gpu_state.gpu_state("cuda") == {
        "driver": "580.95.05",
        "performance state": "P8",
        "clock, MHz": "513",
        "highest clock, MHz": "3003",
        "power, W": "11.2",
        "temperature, °C": "41",
        "what limits the clock": "0x0000000000000004",
    }
    assert gpu_state.gpu_state("cpu") == {}
    program.write_text("#!/bin/sh\nexit 9")
    assert gpu_state.gpu_state("cuda") == {}
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_state.gpu_state("cuda") == {}


def test_memory_speed_is_that_of_a_copy() -> None:
    assert gpu_state.memory_speed("cpu", 16) > 1e7
