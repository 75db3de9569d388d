"""The MeanFlow decoder: upstream's samples from two evaluations, whole and streamed; found, named and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from chatterbox.models.s3gen import decoder as upstream_decoder
from chatterbox.models.s3gen import flow_matching as upstream_flow
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.single_take import run_passes, synthesize_tokens
from monica.config import Settings
from monica.engine import speak
from monica.engine.chatterbox import ChatterboxEngine, checkpoint
from monica.engine.chatterbox.checkpoint import MEANFLOW_FILE, TURBO_REPOSITORY, TURBO_REVISION, file_names
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.euler import EulerStep
from monica.engine.chatterbox.s3gen import Token2Wav
from monica.engine.chatterbox.spec import SPEC
from monica.engine.chatterbox.streaming import StreamingToken2Wav
from monica.engine.chatterbox.watermark import Watermark
from monica.engine.chatterbox.weights import load_s3gen
from monica.errors import ConfigError, ModelUnavailable

from .conftest import load_shallow
from .hub import COMMIT, Hub, serve
from .test_hift import seeded
from .test_s3gen import TOKENS, dtype  # noqa: F401 - a fixture
from .test_streaming_cache import CHUNK, CHUNKS, FRAMES, chunk_by_chunk, inputs  # noqa: F401 - a fixture

NAMES = file_names("v3", "meanflow")


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let upstream print nothing, and compute in float64, which its own mask refuses."""
    monkeypatch.setattr(upstream_flow, "print", lambda *_: None, raising=False)
    monkeypatch.setattr(upstream_flow, "tqdm", lambda steps, **_: steps)
    monkeypatch.setattr(upstream_decoder, "mask_to_bias", lambda mask, kind: (1 - mask.to(kind)) * -1e10)


@pytest.fixture
def make_module(meanflow_dir: Path, dtype: torch.dtype) -> Any:  # noqa: F811
    """Return a function that makes upstream's S3Gen with the MeanFlow decoder, of two middle blocks."""

    def make() -> Any:
        module = load_shallow(meanflow_dir)
        module.flow, module.mel2wav, module.trim_fade = (
            part.to(dtype) for part in (module.flow, module.mel2wav, module.trim_fade)
        )
        module.mel2wav.stft_window = module.mel2wav.stft_window.to(dtype)
        return module

    return make


def test_a_take_equals_upstreams(make_module: Any, voice: Conditionals, quiet: None, dtype: torch.dtype) -> None:  # noqa: F811
    """By upstream's `S3Gen(meanflow=True).inference`, as its Turbo calls it."""
    module = make_module()
    # Upstream adds 1e-9 to the frequency that a snake divides by. It is lost in float32, and ours leaves it out.
    for each in module.mel2wav.modules():
        if hasattr(each, "no_div_by_zero"):
            each.no_div_by_zero = 0.0
    reference = {
        "prompt_token": voice.s3gen_tokens,
        "prompt_token_len": torch.tensor([voice.s3gen_tokens.size(1)]),
        "prompt_feat": voice.s3gen_mel.to(dtype),
        "prompt_feat_len": None,
        "embedding": voice.x_vector.to(dtype),
    }
    states: list[Tensor] = []
    estimate = module.flow.decoder.estimator.forward

    def recorded(x: Tensor, **others: Any) -> Tensor:
        states.append(x[0].t().clone())
        velocity: Tensor = estimate(x, **others)
        return velocity

    # Not by `forward`: it makes floats of the tokens' dtype.
    module.flow.decoder.estimator.forward = recorded
    with torch.random.fork_rng([]), torch.inference_mode():
        torch.manual_seed(7)
        noise = torch.randn(1, 80, 2 * len(TOKENS), dtype=dtype)
        mel, _ = module.flow.inference(
            token=TOKENS[None], token_len=torch.tensor([len(TOKENS)]), finalize=True, n_timesteps=2,
            noised_mels=noise, meanflow=True, **reference,
        )  # fmt: skip
        expected, _ = module.mel2wav.inference(speech_feat=mel, cache_source=torch.zeros(1, 1, 0))
        expected[:, : len(module.trim_fade)] *= module.trim_fade
    ours: list[Tensor] = []
    call = Estimator.__call__

    def recorded_call(self: Estimator, x: Tensor, *others: Any) -> Tensor:
        ours.append(x[0].clone())
        return call(self, x, *others)

    token2wav = Token2Wav(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Estimator, "__call__", recorded_call)
        samples = synthesize_tokens(token2wav, TOKENS, voice, generator=seeded())
    within = 1e-9 if dtype == torch.float64 else 1e-4
    assert len(ours) == len(states) == 2
    for mine, theirs in zip([*ours, samples], [*states, expected[0]], strict=True):
        assert mine.dtype == dtype
        torch.testing.assert_close(mine, theirs, atol=within, rtol=0)
    assert samples.abs().max() > 0.01
    assert (ours[1] - ours[0]).abs().max() > 0.01


@torch.inference_mode()
def test_chunk_by_chunk_it_equals_upstream_under_a_chunk_mask(
    make_module: Any,
    inputs: dict[str, Tensor],  # noqa: F811
    quiet: None,
    dtype: torch.dtype,  # noqa: F811
) -> None:
    upstream = make_module().flow.decoder.estimator
    upstream.static_chunk_size = CHUNK
    t = torch.tensor([0.0, 0.5, 1.0], dtype=dtype)
    step = 1
    expected = upstream(
        x=inputs["x"].to(dtype).transpose(1, 2),
        mask=torch.ones(1, 1, FRAMES, dtype=dtype),
        mu=inputs["mu"].to(dtype).transpose(1, 2),
        t=t[step : step + 1],
        r=t[step + 1 :],
        spks=inputs["speaker"].to(dtype),
        cond=inputs["prompt"].to(dtype).transpose(1, 2),
    ).transpose(1, 2)
    estimator = Estimator(upstream)
    assert estimator.schedule(2).dt.tolist() == [0.5, 0.5]
    ours = chunk_by_chunk(estimator, inputs, [CHUNK] * CHUNKS, estimator.schedule(2).t_emb[step])
    assert ours.shape == (1, FRAMES, 80)
    torch.testing.assert_close(ours, expected, atol=1e-9 if dtype == torch.float64 else 1e-4, rtol=0)


@pytest.fixture(scope="module")
def token2wav(meanflow_dir: Path) -> Token2Wav:
    return Token2Wav(load_shallow(meanflow_dir))


@torch.inference_mode()
def test_a_captured_step_equals_an_eager_one(token2wav: Token2Wav) -> None:
    """Padded to a bucket, in whose buffers a longer take has left its frames."""
    estimator, frames = token2wav.solver.estimator, 20
    mu, speaker, prompt = (torch.randn(shape, generator=seeded()) for shape in ((1, 20, 80), (1, 80), (1, 20, 80)))
    cond = estimator.cond_features(mu, speaker, prompt)
    assert cond.shape == (2, 1, 20, 256)
    padded = EulerStep(estimator, 0.7, 32, 2, padding="masked")
    padded.set_inputs(torch.full((1, 32, 80), 3.0), torch.full((2, 1, 32, 256), 3.0), 0)
    padded.run()
    results = []
    for step in (EulerStep(estimator, 0.7, frames, 2), padded):
        step.set_inputs(torch.randn(1, frames, 80, generator=seeded()), cond, 1)
        step.run()
        results.append(step.x[:, :frames].clone())
    torch.testing.assert_close(results[1], results[0], atol=1e-5, rtol=0)


def test_a_stream_is_close_to_the_whole_take(token2wav: Token2Wav, voice: Conditionals) -> None:
    tokens = [(7 * i) % 6561 for i in range(1, 44)]
    stream = StreamingToken2Wav(token2wav, Watermark()).start_stream(voice, seeded())
    streamed = np.concatenate(
        [run_passes(stream.synthesize_hop(tokens[:end], last=end == len(tokens))) for end in (32, len(tokens))]
    )
    made = synthesize_tokens(token2wav, torch.tensor(tokens), voice, generator=seeded()).numpy()[:-960]
    assert streamed.shape == made.shape
    assert 0.5 < np.sqrt(np.mean(streamed**2) / np.mean(made**2)) < 2


def test_the_engine_speaks_with_it_and_is_named_after_it(
    settings: Settings, meanflow_dir: Path, engine: ChatterboxEngine, short: Any
) -> None:
    ours = dataclasses.replace(settings, model_dir=meanflow_dir, s3gen="meanflow")
    other = ChatterboxEngine(ours)
    other.load()
    other.add_voice("monica", other.make_conditionals(None))
    samples = speak(other, "Bonsoir.", voice="monica", params=short, seed=0)
    assert np.abs(samples).max() > 0.01
    assert other.model == f"chatterbox-multilingual t3 v3 s3gen meanflow fp32 {other._digest[:12]}"
    assert "s3gen-meanflow" in other.fingerprint
    assert "s3gen-standard" in engine.fingerprint
    assert other._digest != engine._digest
    [finding] = [found for found in SPEC.examine(ours) if found.name == "checkpoint"]
    assert finding.ok
    assert "S3Gen meanflow" in finding.detail


def test_a_folder_without_the_file_is_reported(checkpoint_dir: Path) -> None:
    settings = dataclasses.replace(Settings(), model_dir=checkpoint_dir, s3gen="meanflow")
    with pytest.raises(ConfigError) as raised:
        checkpoint.locate(settings)
    assert str(raised.value) == (
        f"MONICA_MODEL_DIR={str(checkpoint_dir)!r} lacks {MEANFLOW_FILE}: "
        f"put it there from {TURBO_REPOSITORY}, or set MONICA_S3GEN=standard."
    )


def test_a_file_with_a_value_that_is_not_a_number_is_refused(
    meanflow_dir: Path, settings: Settings, tmp_path: Path
) -> None:
    state = load_file(meanflow_dir / MEANFLOW_FILE)
    state["flow.decoder.estimator.time_embed_mixer.weight"][3, 5] = torch.nan
    for path in meanflow_dir.iterdir():
        if path.name != MEANFLOW_FILE:
            (tmp_path / path.name).symlink_to(path)
    save_file(state, tmp_path / MEANFLOW_FILE)
    broken = ChatterboxEngine(dataclasses.replace(settings, model_dir=tmp_path, s3gen="meanflow"))
    with pytest.raises(ModelUnavailable, match=rf"{MEANFLOW_FILE} is damaged: \S*time_embed_mixer\S* has values"):
        broken.load()


def test_a_standard_decoder_under_its_name_is_refused(meanflow_dir: Path, tmp_path: Path) -> None:
    state = load_file(meanflow_dir / MEANFLOW_FILE)
    del state["flow.decoder.estimator.time_embed_mixer.weight"]
    save_file(state, tmp_path / MEANFLOW_FILE)
    with pytest.raises(ModelUnavailable, match=rf"{MEANFLOW_FILE} does not fit the model"):
        load_s3gen(tmp_path / MEANFLOW_FILE)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(Hub({name: name.encode() for name in NAMES})) as hub:
        yield hub


def test_it_is_downloaded_from_turbos_repository_at_a_pinned_commit(hub: Hub, tmp_path: Path) -> None:
    settings = dataclasses.replace(Settings(), s3gen="meanflow")
    files = checkpoint.download(settings, cache_dir=tmp_path, endpoint=hub.url)
    assert [path.name for path in files.paths] == list(NAMES)
    assert {path.parent.name for path in files.paths if path != files.s3gen} == {COMMIT}
    assert files.s3gen.parent.name == TURBO_REVISION
    assert {name for _, name, _ in hub.requests} == set(NAMES)
    hub.requests.clear()
    assert checkpoint.locate(settings, cache_dir=tmp_path, endpoint=hub.url) == files
    assert checkpoint.find(Settings(), cache_dir=tmp_path) is None  # the standard decoder was not fetched
    assert hub.requests == []


@pytest.mark.parametrize("missing", ["file", "revision"])
def test_a_hub_without_it_is_reported(hub: Hub, tmp_path: Path, missing: str) -> None:
    if missing == "file":
        del hub.files[MEANFLOW_FILE]
    else:
        hub.turbo_revisions = ()
    with pytest.raises(ConfigError) as raised:
        checkpoint.locate(dataclasses.replace(Settings(), s3gen="meanflow"), cache_dir=tmp_path, endpoint=hub.url)
    for part in (MEANFLOW_FILE, TURBO_REPOSITORY, "MONICA_S3GEN=standard"):
        assert part in str(raised.value)
