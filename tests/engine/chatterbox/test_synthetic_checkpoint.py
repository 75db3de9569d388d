"""The tool that writes checkpoints of random weights: reproducible, complete, in upstream's formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from benchmarks import synthetic_checkpoint
from monica.config import LANGUAGES
from monica.engine.chatterbox.model import Model


def test_a_seed_determines_the_weights() -> None:
    def state(seed: int) -> dict[str, torch.Tensor]:
        return synthetic_checkpoint.t3_state(1, torch.Generator().manual_seed(seed))

    one, again, other = state(1), state(1), state(2)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["text_emb.weight"], other["text_emb.weight"])


def test_every_tensor_is_float32(checkpoint_dir: Path) -> None:
    with safe_open(checkpoint_dir / "t3_mtl23ls_v3.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors |= torch.load(checkpoint_dir / "s3gen.pt", weights_only=True, mmap=True)
    for name, tensor in tensors.items():
        assert tensor.dtype == (torch.int64 if name.endswith("num_batches_tracked") else torch.float32), name


def test_its_tokenizer_knows_every_language_and_french_letters(model: Model) -> None:
    tokenizer = model.tokenizer.tokenizer
    assert [tokenizer.token_to_id(word) for word in ("[START]", "[STOP]", "[UNK]", "[SPACE]")] == [255, 0, 1, 2]
    assert all(tokenizer.token_to_id(f"[{language}]") is not None for language in LANGUAGES)
    ids = model.tokenizer.tokenize("Où est l'été, cœur ? À Noël, ç'a été « dû » : 12 345 €").tolist()
    assert ids[0] == 255
    assert ids[1] == tokenizer.token_to_id("[fr]")
    assert ids[-1] == 0
    assert 1 not in ids
    assert max(ids) < 2454


def test_tokens_equal_upstreams(model: Model, upstream: Any) -> None:
    from chatterbox.mtl_tts import punc_norm

    text = "il reste 12 joueurs… — « À vous ! »"
    expected = upstream.tokenizer.text_to_tokens(punc_norm(text), language_id="fr")[0].tolist()
    assert model.tokenizer.tokenize(text).tolist() == [255, *expected, 0]


def test_f0_is_in_the_range_of_a_voice(model: Model) -> None:
    mel = torch.randn(1, 80, 50, generator=torch.Generator().manual_seed(0)) - 5
    with torch.inference_mode():
        f0 = model.s3gen.mel2wav.f0_predictor(mel)
    assert 100 < f0.min() < 150 < f0.max() < 200
