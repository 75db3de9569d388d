"""S3Gen: the same samples as upstream, from noise of the take's own generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from chatterbox.models.s3gen import decoder as upstream_decoder
from torch import Tensor

from benchmarks.single_take import synthesize_tokens
from monica.engine.chatterbox import euler
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.s3gen import Token2Wav
from monica.engine.chatterbox.weights import load_s3gen

from .conftest import load_shallow
from .tape import FakeGraphs

TOKENS = torch.tensor([4299, 0, 6560, 17, 3210, 999])


def speak(token2wav: Token2Wav, voice: Conditionals, tokens: Tensor = TOKENS, *, seed: int = 7) -> Tensor:
    return synthesize_tokens(token2wav, tokens, voice, generator=torch.Generator().manual_seed(seed))


def test_samples_equal_upstreams(checkpoint_dir: Path, voice: Conditionals, upstream: Any) -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(7)
        expected, _ = upstream.s3gen.inference(speech_tokens=TOKENS, ref_dict=dict(upstream.conds.gen))
    ours = speak(Token2Wav(load_s3gen(checkpoint_dir / "s3gen.pt")), voice)
    assert ours.shape == (960 * len(TOKENS),)
    torch.testing.assert_close(ours, expected[0], atol=1e-5, rtol=0)
    assert ours.abs().max() > 0.01


@dataclass
class Intermediates:
    """The intermediate tensors of a take."""

    mu: list[Tensor] = field(default_factory=list)  # (1, T, 80)
    x: list[Tensor] = field(default_factory=list)  # (1, T, 80), before each step
    mel: list[Tensor] = field(default_factory=list)  # (1, 80, 2 N)
    wav: Tensor = field(default_factory=lambda: torch.empty(0))  # (960 N,)


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    """The dtype of the module, and the default one: upstream makes some tensors without specifying it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@torch.inference_mode()
def test_every_intermediate_tensor_equals_upstreams(
    checkpoint_dir: Path, voice: Conditionals, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    # Upstream's own refuses float64.
    monkeypatch.setattr(upstream_decoder, "mask_to_bias", lambda mask, dtype: (1 - mask.to(dtype)) * -1e10)
    module = load_shallow(checkpoint_dir)
    module.flow, module.mel2wav, module.trim_fade = (
        part.to(dtype) for part in (module.flow, module.mel2wav, module.trim_fade)
    )
    module.mel2wav.stft_window = module.mel2wav.stft_window.to(dtype)

    theirs, ours = Intermediates(), Intermediates()
    with monkeypatch.context() as patched, torch.random.fork_rng([]):
        estimate, flow, vocode = (
            module.flow.decoder.estimator.forward, module.flow.decoder.forward, module.mel2wav.inference
        )  # fmt: skip

        def recorded_estimate(**inputs: Any) -> Any:
            theirs.x.append(inputs["x"][:1].transpose(1, 2).clone())
            return estimate(**inputs)

        def recorded_flow(**inputs: Any) -> Any:
            theirs.mu.append(inputs["mu"].transpose(1, 2))
            return flow(**inputs)

        def recorded_inference(speech_feat: Tensor, cache_source: Tensor) -> Any:
            theirs.mel.append(speech_feat)
            return vocode(speech_feat=speech_feat, cache_source=cache_source)

        patched.setattr(module.flow.decoder.estimator, "forward", recorded_estimate)
        patched.setattr(module.flow.decoder, "forward", recorded_flow)
        patched.setattr(module.mel2wav, "inference", recorded_inference)
        torch.manual_seed(7)
        reference = {
            "prompt_token": voice.s3gen_tokens,
            "prompt_token_len": torch.tensor([voice.s3gen_tokens.size(1)]),
            "prompt_feat": voice.s3gen_mel.to(dtype),
            "prompt_feat_len": None,
            "embedding": voice.x_vector.to(dtype),
        }
        mel, _ = module.flow.inference(
            token=TOKENS[None], token_len=torch.tensor([len(TOKENS)]), finalize=True, **reference
        )
        wav, _ = module.mel2wav.inference(speech_feat=mel, cache_source=torch.zeros(1, 1, 0))
        wav[:, : len(module.trim_fade)] *= module.trim_fade
        theirs.wav = wav[0]

    token2wav = Token2Wav(module)
    call, cond_features, vocode = Estimator.__call__, Estimator.cond_features, token2wav.hift.vocode

    def recorded_call(self: Estimator, x: Tensor, *others: Any) -> Tensor:
        ours.x.append(x.clone())
        return call(self, x, *others)

    def recorded_cond_features(self: Estimator, mu: Tensor, *others: Any) -> Tensor:
        ours.mu.append(mu)
        return cond_features(self, mu, *others)

    def recorded_vocode(mel: Tensor, source: Tensor) -> Any:
        ours.mel.append(mel)
        return vocode(mel, source)

    monkeypatch.setattr(Estimator, "__call__", recorded_call)
    monkeypatch.setattr(Estimator, "cond_features", recorded_cond_features)
    monkeypatch.setattr(token2wav.hift, "vocode", recorded_vocode)
    ours.wav = speak(token2wav, voice)

    within = 1e-9 if dtype == torch.float64 else 1e-5
    assert len(ours.x) == len(theirs.x) == 10
    for mine, expected in zip(
        [*ours.mu, *ours.x, *ours.mel, ours.wav], [*theirs.mu, *theirs.x, *theirs.mel, theirs.wav], strict=True
    ):
        assert mine.dtype == dtype
        torch.testing.assert_close(mine, expected, atol=within, rtol=0)
    assert (ours.x[-1] - ours.x[0]).abs().max() > 0.1


@pytest.mark.parametrize("count", [1, 2, 6])
def test_a_bucket_gives_the_same_samples(
    token2wav: Token2Wav, bucketed: Token2Wav, voice: Conditionals, two_steps: None, small_buckets: None, count: int
) -> None:
    for seed in (7, 8):
        expected = speak(token2wav, voice, TOKENS[:count], seed=seed)
        torch.testing.assert_close(speak(bucketed, voice, TOKENS[:count], seed=seed), expected, atol=1e-5, rtol=0)


def test_buckets_are_captured_once_and_the_largest_first(
    checkpoint_dir: Path,
    token2wav: Token2Wav,
    voice: Conditionals,
    two_steps: None,
    small_buckets: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graphs: Any = FakeGraphs()
    bucketed = Token2Wav(load_shallow(checkpoint_dir), graphs=graphs)
    bucketed.warm_up()
    assert graphs.names == [f"an Euler step of {frames} frames" for frames in (36, 27, 18, 9)]
    speak(bucketed, voice)
    # A take longer than any bucket, or one without memory left for graphs, is computed at its own length.
    long = TOKENS.repeat(2)
    torch.testing.assert_close(speak(bucketed, voice, long), speak(token2wav, voice, long), atol=1e-5, rtol=0)
    monkeypatch.setattr(euler, "BUCKETS", range(9, 46, 9))
    graphs.available = False
    torch.testing.assert_close(speak(bucketed, voice, long), speak(token2wav, voice, long), atol=1e-5, rtol=0)
    assert len(graphs.names) == 4


def test_a_seed_determines_the_take_and_the_global_generator_is_untouched(
    token2wav: Token2Wav, voice: Conditionals, two_steps: None
) -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first = speak(token2wav, voice)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1000)
    assert torch.equal(speak(token2wav, voice), first)
    assert not torch.equal(speak(token2wav, voice, seed=1), first)


def test_one_generator_gives_a_different_take_each_time(
    token2wav: Token2Wav, voice: Conditionals, two_steps: None
) -> None:
    generator = torch.Generator().manual_seed(7)
    first, second = (synthesize_tokens(token2wav, TOKENS, voice, generator=generator) for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("tokens", [[0], [6560], [17, 6560]])
def test_short_takes(token2wav: Token2Wav, voice: Conditionals, tokens: list[int], two_steps: None) -> None:
    before = {name: getattr(voice, name).clone() for name in voice.__slots__}
    samples = speak(token2wav, voice, torch.tensor(tokens))
    assert samples.shape == (960 * len(tokens),)
    assert samples.dtype == torch.float32
    assert samples.isfinite().all()
    assert not samples[:480].any()  # the fade's silence
    assert samples[480:].any()
    assert all(torch.equal(getattr(voice, name), kept) for name, kept in before.items())


@pytest.mark.parametrize(("precision", "cosine"), [("bf16", 0.999), ("int8", 0.98)])
def test_a_take_in_lower_precision_is_close(
    checkpoint_dir: Path, token2wav: Token2Wav, voice: Conditionals, two_steps: None, precision: str, cosine: float
) -> None:
    near = Token2Wav(load_shallow(checkpoint_dir), precision=precision)
    exact, samples = speak(token2wav, voice), speak(near, voice)
    assert samples.dtype == torch.float32
    assert not torch.equal(samples, exact)
    assert torch.cosine_similarity(samples, exact, dim=0) > cosine


def test_the_estimator_is_not_in_memory_twice_and_references_can_still_be_encoded(checkpoint_dir: Path) -> None:
    module = load_s3gen(checkpoint_dir / "s3gen.pt")
    Token2Wav(module)
    assert not any("estimator" in name for name, _ in module.named_parameters())
    encoded = module.embed_ref(torch.randn(24000).clamp(-1, 1) / 10, 24000)
    assert encoded["prompt_feat"].shape == (1, 50, 80)
