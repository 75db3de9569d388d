"""On a real GPU: upstream's tokens and sound, the same bytes again, no step that waits, and a lost device.

Everything else about CUDA is tested without one. `make test-gpu` runs these; without a GPU they are skipped.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.single_take import generate_tokens, synthesize_tokens
from monica.config import Settings
from monica.engine import SynthesisParams, Utterance
from monica.engine.chatterbox import ChatterboxEngine
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.s3gen import Token2Wav
from monica.engine.chatterbox.sampling import SPEECH_TOKENS
from monica.engine.chatterbox.tokenizer import TextTokenizer
from monica.engine.chatterbox.weights import load_s3gen

from .conftest import TEXT, load_upstream
from .test_t3 import run_upstream

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU that PyTorch can use"),
]

SHORT, LONG = SynthesisParams(max_tokens=30), SynthesisParams(max_tokens=70)
SENTENCES = (TEXT, "Bonsoir à tous.", "Pablo relance à 4 000, et Rusmir fait tapis.")
PARAMS = (SynthesisParams(), SynthesisParams(cfg_weight=0.0), SynthesisParams(top_p=0.8, repetition_penalty=1.5))


def gpu_engine(checkpoint_dir: Path, cache_dir: Path, precision: str) -> ChatterboxEngine:
    settings = dataclasses.replace(
        Settings(), model_dir=checkpoint_dir, device="cuda", precision=precision, cache_dir=cache_dir
    )
    engine = ChatterboxEngine(settings)
    engine.load()
    engine.add_voice("monica", engine.make_conditionals(None))
    return engine


@pytest.fixture(scope="module")
def exact(checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatterboxEngine]:
    """The engine in float32, whose results can be compared with upstream's."""
    yield gpu_engine(checkpoint_dir, tmp_path_factory.mktemp("cache"), "fp32")
    torch.cuda.empty_cache()


@pytest.fixture(scope="module")
def usual(checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatterboxEngine]:
    """The engine as it speaks on a GPU: in bf16."""
    yield gpu_engine(checkpoint_dir, tmp_path_factory.mktemp("cache"), "bf16")
    torch.cuda.empty_cache()


@pytest.fixture(scope="module")
def upstream_on_gpu(checkpoint_dir: Path) -> Any:
    return load_upstream(checkpoint_dir, "cuda")


def begin(engine: ChatterboxEngine, number: int, params: SynthesisParams = SHORT, *, stream: bool = False) -> Utterance:
    return engine.begin(SENTENCES[number % len(SENTENCES)], voice="monica", params=params, seed=number, stream=stream)


def finish(engine: ChatterboxEngine, *utterances: Utterance) -> list[NDArray[np.float32]]:
    for _ in range(2000):
        if all(each.done for each in utterances):
            break
        engine.step()
    found = []
    for each in utterances:
        assert each.error is None
        assert each.samples is not None
        found.append(each.samples)
    return found


@pytest.mark.parametrize("params", PARAMS, ids=["usual", "no guidance", "top-p"])
def test_tokens_equal_upstreams(
    exact: ChatterboxEngine, upstream_on_gpu: Any, tokenizer: TextTokenizer, params: SynthesisParams
) -> None:
    """Through the captured steps, with the GPU's own generator."""
    t3, voice = exact.loaded_model.t3, exact.loaded_model.builtin.to("cuda")
    for seed, text in enumerate(SENTENCES):
        short = dataclasses.replace(params, max_tokens=24)
        expected = run_upstream(upstream_on_gpu, short, text=text, seed=seed)
        generator = torch.Generator("cuda").manual_seed(seed)
        found = generate_tokens(t3, tokenizer.tokenize(text).to("cuda"), voice, short, generator)
        assert found.tolist() == expected[expected < SPEECH_TOKENS].tolist()


def test_sound_equals_that_of_the_cpu(
    exact: ChatterboxEngine, token2wav_on_cpu: Token2Wav, voice: Conditionals
) -> None:
    """With the same noise, drawn on the CPU. In a long take the phase of the harmonics adds up what pitch is off by."""
    tokens = torch.randint(SPEECH_TOKENS, (20,), generator=torch.Generator().manual_seed(3))

    def speak(token2wav: Token2Wav, device: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(7)
        return synthesize_tokens(token2wav, tokens.to(device), voice.to(device), generator=generator).cpu()

    expected, found = speak(token2wav_on_cpu, "cpu"), speak(exact.loaded_model.token2wav, "cuda")
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


@pytest.fixture(scope="module")
def token2wav_on_cpu(checkpoint_dir: Path) -> Token2Wav:
    return Token2Wav(load_s3gen(checkpoint_dir / "s3gen.pt"))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_same_seed_gives_the_same_bytes(usual: ChatterboxEngine, stream: bool) -> None:
    """So a take without a seed of its own is the same on every node with the same GPU."""
    first, again = (finish(usual, begin(usual, 1, LONG, stream=stream))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_pause_changes_nothing(usual: ChatterboxEngine) -> None:
    [alone] = finish(usual, begin(usual, 2, LONG))
    utterance = begin(usual, 2, LONG)
    for step in range(60):
        usual.step()
        if step in (10, 35):
            usual.pause(utterance)
            usual.step()
            usual.resume(utterance)
    np.testing.assert_array_equal(finish(usual, utterance)[0], alone)


def test_in_float32_takes_beside_each_other_get_the_tokens_they_get_alone(exact: ChatterboxEngine) -> None:
    """Measured, not promised: another number of rows may be another kernel, which rounds differently."""
    alone = [finish(exact, begin(exact, number))[0] for number in range(8)]
    together = finish(exact, *(begin(exact, number) for number in range(8)))
    for mine, others in zip(alone, together, strict=True):
        assert mine.shape == others.shape
        np.testing.assert_allclose(mine, others, atol=1e-3)


def test_the_watermark_is_found(usual: ChatterboxEngine) -> None:
    from monica.engine.chatterbox.watermark import Watermark

    detector = Watermark()
    for stream in (False, True):
        [samples] = finish(usual, begin(usual, 0, LONG, stream=stream))
        assert detector.detect(samples, usual.sample_rate) == 1.0


def test_a_step_of_t3_does_not_wait_for_the_gpu(usual: ChatterboxEngine) -> None:
    """The host reads the tokens of an earlier step by an event, which this mode allows."""
    utterances = [begin(usual, number, LONG) for number in range(3)]
    for _ in range(5):
        usual.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(20):
            usual.loaded_model.t3.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    finish(usual, *utterances)


def test_memory_does_not_grow(usual: ChatterboxEngine) -> None:
    def speak(number: int) -> None:
        params = SynthesisParams(max_tokens=5 + 7 * (number % 9))
        finish(usual, *(begin(usual, number + each, params, stream=each == 0) for each in range(3)))

    for number in range(9):
        speak(number)
    before = torch.cuda.memory_allocated()
    for number in range(18):
        speak(number)
    assert torch.cuda.memory_allocated() <= before


def test_a_device_that_fails_is_reported_as_lost(checkpoint_dir: Path, tmp_path: Path) -> None:
    """In a process of its own, because no CUDA call works in it afterwards."""
    program = f"""
import torch
from pathlib import Path
from monica.errors import DeviceLost
from tests.engine.chatterbox.test_gpu import SHORT, begin, finish, gpu_engine

engine = gpu_engine(Path({str(checkpoint_dir)!r}), Path({str(tmp_path)!r}), "bf16")
finish(engine, begin(engine, 0))
torch.zeros(4, device="cuda")[torch.tensor([10**6], device="cuda")]
try:
    finish(engine, begin(engine, 1))
except DeviceLost as error:
    print("lost:", error, flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=False)
    assert "lost: The device failed, and is lost to this process: CUDA error: device-side assert" in done.stdout
