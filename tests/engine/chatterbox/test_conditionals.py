"""Conditionals: the same as upstream's for the same recording, stored as bytes, and checked when read back."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from monica.engine import Reference
from monica.engine.chatterbox import ChatterboxEngine, conditionals
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.model import Model
from monica.errors import ConfigError, ModelUnavailable


def equal(one: Conditionals, other: Conditionals) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in conditionals.SHAPES)


@pytest.fixture(scope="session")
def encoded(engine: ChatterboxEngine, reference: Reference) -> Conditionals:
    return Conditionals.from_bytes(engine.make_conditionals(reference))


# librosa.load, which upstream reads files with and Monica does not, looks for decoders in deprecated modules.
@pytest.mark.filterwarnings("ignore:'(aifc|audioop|sunau)' is deprecated:DeprecationWarning")
def test_conditionals_equal_upstreams(upstream: Any, encoded: Conditionals, recording: Path) -> None:
    builtin = upstream.conds
    try:
        upstream.prepare_conditionals(recording)
        t3, gen = upstream.conds.t3, upstream.conds.gen
    finally:
        upstream.conds = builtin
    assert torch.equal(encoded.speaker_embedding, t3.speaker_emb)
    assert torch.equal(encoded.prompt_tokens, t3.cond_prompt_speech_tokens)
    assert torch.equal(encoded.s3gen_tokens, gen["prompt_token"])
    assert torch.equal(encoded.s3gen_mel, gen["prompt_feat"])
    assert torch.equal(encoded.x_vector, gen["embedding"])
    assert encoded.prompt_tokens.shape == (1, 150)
    assert encoded.s3gen_mel.shape == (1, 500, 80)
    assert len(set(encoded.s3gen_tokens[0].tolist())) > 5


def test_the_builtin_voice_equals_the_checkpoints(model: Model, upstream: Any) -> None:
    t3, gen = upstream.conds.t3, upstream.conds.gen
    assert torch.equal(model.builtin.speaker_embedding, t3.speaker_emb)
    assert torch.equal(model.builtin.prompt_tokens, t3.cond_prompt_speech_tokens)
    assert torch.equal(model.builtin.s3gen_tokens, gen["prompt_token"].long())
    assert torch.equal(model.builtin.s3gen_mel, gen["prompt_feat"])
    assert torch.equal(model.builtin.x_vector, gen["embedding"])


def test_prompt_is_heard_where_the_recording_says(
    engine: ChatterboxEngine, reference: Reference, encoded: Conditionals
) -> None:
    """T3 hears six seconds from there, S3Gen ten, both to the end of the prompt at most; the timbre is that of all."""
    rate = reference.sample_rate
    part = dataclasses.replace(reference, prompt_start_s=3.0, prompt_end_s=8.0)
    cut = dataclasses.replace(reference, samples=reference.samples[3 * rate : 8 * rate])
    voice, same = (Conditionals.from_bytes(engine.make_conditionals(each)) for each in (part, cut))
    assert voice.s3gen_mel.shape == (1, 250, 80)
    assert voice.prompt_tokens.shape == (1, 125)
    # Resampling reaches over the edges of a cut, so a few tokens and frames there may differ.
    assert torch.equal(voice.speaker_embedding, encoded.speaker_embedding)
    assert (voice.s3gen_mel[0, 10:-10] - same.s3gen_mel[0, 10:-10]).abs().max() < 0.01
    assert not torch.equal(voice.x_vector, encoded.x_vector)


def test_bytes_round_trip_exactly_as_safetensors(encoded: Conditionals) -> None:
    data = encoded.to_bytes()
    assert equal(Conditionals.from_bytes(data), encoded)
    assert Conditionals.from_bytes(data).to_bytes() == data
    assert safetensors.torch.load(data)["prompt_tokens"].dtype == torch.int64


def test_conditionals_are_immutable(encoded: Conditionals) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        encoded.x_vector = torch.zeros(1, 192)  # type: ignore[misc]


def altered(data: bytes, name: str, tensor: torch.Tensor | None) -> bytes:
    tensors = safetensors.torch.load(data)
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    return safetensors.torch.save(tensors)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("x_vector", None),
        ("emotion", torch.zeros(1)),
        ("x_vector", torch.zeros(1, 191)),
        ("x_vector", torch.full((1, 192), torch.nan)),
        ("speaker_embedding", torch.zeros(1, 256, dtype=torch.float16)),
        ("s3gen_mel", torch.zeros(1, 0, 80)),
        ("prompt_tokens", torch.full((1, 150), 6561)),
        ("prompt_tokens", torch.full((1, 150), -1)),
        ("s3gen_tokens", torch.zeros(1, 250)),
    ],
)
def test_a_voice_with_wrong_tensors_is_refused(
    engine: ChatterboxEngine, name: str, tensor: torch.Tensor | None
) -> None:
    with pytest.raises(ValueError):
        engine.add_voice("other", altered(engine.make_conditionals(None), name, tensor))


@pytest.mark.parametrize("data", [b"", b"RIFF....WAVE", b"\x80\x04\x95pickle", b"\xff" * 100])
def test_bytes_that_are_not_a_voice_are_refused(engine: ChatterboxEngine, data: bytes) -> None:
    with pytest.raises(ValueError, match="not conditionals"):
        engine.add_voice("other", data)


def test_a_short_recording_that_is_not_a_multiple_of_a_token(
    engine: ChatterboxEngine, reference: Reference, caplog: pytest.LogCaptureFixture
) -> None:
    short = dataclasses.replace(reference, samples=reference.samples[: int(1.234 * reference.sample_rate)])
    with caplog.at_level(logging.INFO):
        voice = Conditionals.from_bytes(engine.make_conditionals(short))
    assert voice.s3gen_mel.size(1) // 2 == voice.s3gen_tokens.size(1)
    assert caplog.records == []


@pytest.mark.parametrize(
    "samples", [np.zeros(0, np.float32), np.ones(2000, np.float32), np.full(48_000, np.nan, np.float32)]
)
def test_an_unusable_recording_is_reported(
    engine: ChatterboxEngine, samples: np.ndarray[Any, np.dtype[np.float32]]
) -> None:
    with pytest.raises(ConfigError, match="reference recording"):
        engine.make_conditionals(Reference(samples, 24_000, digest="0"))


@pytest.mark.parametrize("kept", [{}, [], {"t3": {}, "gen": {}}, {"t3": {"speaker_emb": 1}, "gen": None}])
def test_an_invalid_builtin_voice_is_reported(tmp_path: Path, kept: object) -> None:
    torch.save(kept, tmp_path / "conds.pt")
    with pytest.raises(ModelUnavailable, match=r"conds\.pt"):
        conditionals.read_builtin_voice(tmp_path / "conds.pt")
