"""S3Gen: upstream's samples, noise of the take's own, and a check between Euler steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from monica.engine.chatterbox.model import Model
from monica.errors import DeadlineExceeded

TOKENS = torch.tensor([4299, 0, 6560, 17, 3210, 999])


def no_check() -> None:
    pass


def decode(model: Model, seed: int = 0) -> Tensor:
    return model.decoder.decode(TOKENS, model.builtin, seed=seed, check=no_check)


def test_samples_are_upstreams(model: Model, upstream: Any) -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(7)
        expected, _ = upstream.s3gen.inference(speech_tokens=TOKENS, ref_dict=dict(upstream.conds.gen))
    ours = decode(model, seed=7)
    assert ours.shape == (960 * len(TOKENS),)
    torch.testing.assert_close(ours, expected[0], atol=1e-5, rtol=0)
    assert ours.abs().max() > 0.01


def test_a_seed_gives_a_take_and_the_global_generator_stays(model: Model) -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first = decode(model)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1000)
    assert torch.equal(decode(model), first)
    assert not torch.equal(decode(model, seed=1), first)


def test_the_ids_of_the_prompt_stay_whole(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    flow = model.s3gen.flow
    inference = flow.inference

    def spied(**inputs: Any) -> Any:
        seen.update(inputs)
        return inference(**inputs)

    monkeypatch.setattr(flow, "inference", spied)
    before = {name: getattr(model.builtin, name).clone() for name in model.builtin.__slots__}
    decode(model)
    assert all(seen[name].dtype == torch.int64 for name in ("token", "prompt_token", "prompt_token_len"))
    assert all(torch.equal(getattr(model.builtin, name), kept) for name, kept in before.items())


@pytest.mark.parametrize("call", [1, 2, 6])
def test_check_ends_a_take_before_and_between_euler_steps(model: Model, call: int) -> None:
    calls = 0

    def late() -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise DeadlineExceeded("late")

    torch.manual_seed(123)
    state = torch.get_rng_state()
    with pytest.raises(DeadlineExceeded):
        model.decoder.decode(TOKENS, model.builtin, seed=0, check=late)
    assert calls == call
    assert torch.equal(torch.get_rng_state(), state)
    assert model.s3gen.flow.decoder.estimator.check is None


def test_check_is_asked_before_each_of_ten_steps(model: Model) -> None:
    calls = []
    model.decoder.decode(TOKENS, model.builtin, seed=0, check=lambda: calls.append(1))
    assert len(calls) == 1 + 10
