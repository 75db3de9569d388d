"""A small checkpoint, Monica's engine and upstream's on it, and a recording to clone."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import pytest
import soundfile

from monica.config import Settings
from monica.engine import Reference, SynthesisParams, speak
from monica.engine.chatterbox import ChatterboxEngine
from monica.engine.espeak import EspeakEngine

if TYPE_CHECKING:
    from monica.engine.chatterbox.conditionals import Conditionals
    from monica.engine.chatterbox.model import Model
    from monica.engine.chatterbox.s3gen import Token2Wav
    from monica.engine.chatterbox.t3 import T3
    from monica.engine.chatterbox.tokenizer import TextTokenizer

    from .engine_harness import EngineHarness

    MakeT3 = Callable[..., T3]

HERE = Path(__file__).parent

UPSTREAM_WARNINGS = (
    # perth 1.0.1 imports pkg_resources, which setuptools 81 still has.
    "ignore:pkg_resources is deprecated:UserWarning",
    # diffusers, which chatterbox-tts's S3Gen uses, subclasses a deprecated layer.
    "ignore:`LoRACompatibleLinear` is deprecated:FutureWarning",
    # chatterbox-tts's Perceiver selects its attention kernel in a deprecated way, at every prefill.
    r"ignore:`?torch\.backends\.cuda\.sdp_kernel\(\)`? is deprecated:FutureWarning",
)

with warnings.catch_warnings():
    # Collecting the tests imports upstream before the filters of any item apply.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
    import chatterbox  # noqa: F401

T3_LAYERS = 2
TEXT = "Rusmir vient d'éliminer Pablo avec une paire d'as !"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for warning in UPSTREAM_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads gain little on takes this short, and lose much if the other core is busy."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from benchmarks.synthetic_checkpoint import write_checkpoint

    directory = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(directory, t3_layers=T3_LAYERS, prompt_s=0.4)
    # The only name that upstream's released package knows.
    (directory / "t3_mtl23ls_v2.safetensors").symlink_to("t3_mtl23ls_v3.safetensors")
    return directory


@pytest.fixture(scope="session")
def meanflow_dir(checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint with the MeanFlow decoder in place of the standard one."""
    import torch
    from safetensors.torch import save_file

    from benchmarks.synthetic_checkpoint import meanflow_state
    from monica.engine.chatterbox.checkpoint import MEANFLOW_FILE

    directory = tmp_path_factory.mktemp("meanflow")
    for path in checkpoint_dir.iterdir():
        if path.name != "s3gen.pt":
            (directory / path.name).symlink_to(path)
    s3gen = torch.load(checkpoint_dir / "s3gen.pt", weights_only=True, mmap=True)
    save_file(meanflow_state(s3gen), directory / MEANFLOW_FILE)
    return directory


@pytest.fixture(scope="session")
def settings(checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    cache_dir = tmp_path_factory.mktemp("cache")
    return dataclasses.replace(Settings(), model_dir=checkpoint_dir, device="cpu", cache_dir=cache_dir)


@pytest.fixture(scope="session")
def engine(settings: Settings) -> ChatterboxEngine:
    engine = ChatterboxEngine(settings)
    engine.load()
    engine.add_voice("monica", engine.make_conditionals(None))
    return engine


@pytest.fixture
def model(engine: ChatterboxEngine) -> Model:
    return engine._loaded().model


@pytest.fixture(scope="session")
def make_t3(checkpoint_dir: Path) -> MakeT3:
    """Return a function that makes a T3 of the small checkpoint. It takes T3's arguments, and the weights' dtype."""
    from monica.engine.chatterbox.t3 import T3
    from monica.engine.chatterbox.weights import load_t3

    def make(dtype: Any = None, **other: Any) -> T3:
        front, layers = load_t3(checkpoint_dir / "t3_mtl23ls_v3.safetensors")
        if dtype is not None:
            front = front.to(dtype)
            layers = [{name: tensor.to(dtype) for name, tensor in layer.items()} for layer in layers]
        return T3(front, layers, **other)

    return make


@pytest.fixture
def t3(make_t3: MakeT3) -> T3:
    return make_t3()


def load_shallow(checkpoint_dir: Path) -> Any:
    """Load S3Gen, the MeanFlow one if it is there, with only two of the twelve middle blocks of its estimator."""
    from monica.engine.chatterbox.checkpoint import MEANFLOW_FILE
    from monica.engine.chatterbox.weights import load_s3gen

    name = MEANFLOW_FILE if (checkpoint_dir / MEANFLOW_FILE).exists() else "s3gen.pt"
    module = load_s3gen(checkpoint_dir / name)
    module.flow.decoder.estimator.mid_blocks = module.flow.decoder.estimator.mid_blocks[:2]
    return module


@pytest.fixture(scope="session")
def token2wav(checkpoint_dir: Path) -> Token2Wav:
    from monica.engine.chatterbox.s3gen import Token2Wav

    return Token2Wav(load_shallow(checkpoint_dir))


@pytest.fixture(scope="module")
def bucketed(checkpoint_dir: Path) -> Token2Wav:
    """An S3Gen whose takes share one EulerStep for each bucket, as they do when graphs are captured."""
    from monica.engine.chatterbox.s3gen import Token2Wav

    from .tape import FakeGraphs

    graphs: Any = FakeGraphs()
    return Token2Wav(load_shallow(checkpoint_dir), graphs=graphs)


@pytest.fixture
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets that no take here fills: the checkpoint's voice has 20 frames, a token has two. None for the encoder."""
    monkeypatch.setattr("monica.engine.chatterbox.token_encoder.BUCKETS", range(0))
    monkeypatch.setattr("monica.engine.chatterbox.euler.BUCKETS", range(9, 37, 9))


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two Euler steps instead of ten, which test_s3gen.py covers."""
    monkeypatch.setattr("monica.engine.chatterbox.euler.EULER_STEPS", 2)


@pytest.fixture(scope="module")
def whole_harness(engine: ChatterboxEngine, token2wav: Token2Wav) -> Iterator[EngineHarness]:
    from .engine_harness import SLOTS, EngineHarness

    model = engine._loaded().model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "token2wav", token2wav)
        patch.setattr(model.t3.slots, "count", SLOTS)
        patch.setattr("monica.engine.chatterbox.euler.EULER_STEPS", 2)
        yield EngineHarness(engine)


@pytest.fixture
def harness(whole_harness: EngineHarness) -> Iterator[EngineHarness]:
    """The harness, which must be empty again at the end of the test."""
    yield whole_harness
    whole_harness.assert_empty()


@pytest.fixture(scope="session")
def voice(checkpoint_dir: Path) -> Conditionals:
    from monica.engine.chatterbox.conditionals import read_builtin_voice

    return read_builtin_voice(checkpoint_dir / "conds.pt")


@pytest.fixture(scope="session")
def tokenizer(checkpoint_dir: Path) -> TextTokenizer:
    from monica.engine.chatterbox.tokenizer import TextTokenizer

    return TextTokenizer(checkpoint_dir / "grapheme_mtl_merged_expanded_v1.json", "fr")


def load_upstream(checkpoint_dir: Path, device: str) -> Any:
    """Load upstream's own engine on a device, with its alignment analyzer off."""
    from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS
    from chatterbox.mtl_tts import ChatterboxMultilingualTTS

    with (
        patch.dict(LLAMA_CONFIGS["Llama_520M"], num_hidden_layers=T3_LAYERS),
        patch("chatterbox.models.tokenizers.tokenizer.hf_hub_download", side_effect=OSError("no network")),
    ):
        upstream = ChatterboxMultilingualTTS.from_local(checkpoint_dir, device)
    upstream.t3.hp.text_tokens_dict_size = 2453
    return upstream


@pytest.fixture(scope="session")
def upstream(checkpoint_dir: Path) -> Any:
    """Upstream's own engine on the same checkpoint."""
    return load_upstream(checkpoint_dir, "cpu")


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12.4 seconds of French, at espeak's 22 050 Hz."""
    espeak = EspeakEngine(Settings())
    espeak.load()
    text = " ".join(["Bonsoir à tous, et bienvenue à la finale du tournoi. Les blindes montent à mille."] * 4)
    samples = speak(espeak, text, voice="monica", params=SynthesisParams(), seed=0)
    sample_rate = espeak.sample_rate
    assert len(samples) > 12.4 * sample_rate
    path = tmp_path_factory.mktemp("recording") / "reference.wav"
    soundfile.write(path, samples[: int(12.4 * sample_rate)], sample_rate, subtype="FLOAT")
    return path


@pytest.fixture(scope="session")
def reference(recording: Path) -> Reference:
    samples, sample_rate = soundfile.read(recording, dtype="float32")
    return Reference(np.ascontiguousarray(samples), sample_rate, digest="12")


@pytest.fixture
def short() -> SynthesisParams:
    return SynthesisParams(max_tokens=4)
