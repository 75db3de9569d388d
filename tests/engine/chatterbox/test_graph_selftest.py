"""The self-test of every captured graph, on a tape: right ones pass, a wrong one is refused by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from monica.engine.chatterbox import graph_selftest, selftest, step_graphs
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.euler import EulerSolver
from monica.engine.chatterbox.t3 import T3
from monica.engine.chatterbox.weights import load_t3
from monica.errors import ConfigError

from . import efficient_attention, flash_attention
from .conftest import load_shallow
from .tape import TapeGraphs
from .test_graphs import WINDOWS, as_on_cuda

BUCKETS = range(24, 49, 24)
GRAPHS = {"fp32": 4, "bf16": 6}
"""Of T3."""

Check = Callable[[], int]


class Setting:
    """T3 and S3Gen with captured steps, and what they must compute."""

    def __init__(self, checkpoint_dir: Path, make_t3: Any, precision: str) -> None:
        front, layers = load_t3(checkpoint_dir / "t3_mtl23ls_v3.safetensors")
        self.t3: T3 = make_t3(slots=2, precision=precision)
        as_on_cuda(self.t3, TapeGraphs(), by_length=precision == "fp32")
        self.tokens, self.sequence = graph_selftest.step_sequence(front, WINDOWS[-1])
        (self.output,) = selftest.float32_outputs(front, layers, [self.sequence])
        s3gen = load_shallow(checkpoint_dir)
        self.reference = Estimator(s3gen.flow.decoder.estimator)
        self.precision = precision
        estimator = Estimator(s3gen.flow.decoder.estimator, precision=precision, fused=precision == "bf16")
        self.solver = EulerSolver(estimator, guidance=s3gen.flow.decoder.inference_cfg_rate, graphs=TapeGraphs())
        self.solver.by_length = precision == "bf16"
        self.solver.warm_up()

    def check_t3(self) -> int:
        return graph_selftest.check_step_graphs(self.t3, self.tokens, self.sequence, self.output)

    def check_s3gen(self) -> int:
        return graph_selftest.check_euler_graphs(self.solver, self.reference, self.precision)


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def setting(request: pytest.FixtureRequest, checkpoint_dir: Path, make_t3: Any) -> Iterator[Setting]:
    """In float32, T3's steps read the lengths of their rows, and in bf16 windows. S3Gen's the other way round."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_graphs, "WINDOWS", WINDOWS)
        patch.setattr("monica.engine.chatterbox.euler.BUCKETS", BUCKETS)
        with efficient_attention.installed(), flash_attention.installed():
            yield Setting(checkpoint_dir, make_t3, request.param)


def test_every_graph_agrees_with_float32(setting: Setting) -> None:
    assert setting.check_t3() == len(list(setting.t3.captured_steps())) == GRAPHS[setting.precision]
    assert setting.check_s3gen() == len(list(setting.solver.captured_steps())) == 2


def test_nothing_is_left_of_it(setting: Setting) -> None:
    setting.check_t3()
    assert setting.t3.running == []
    assert not setting.t3.llama.cache.any()
    assert not setting.t3.slots.position.any()


@pytest.mark.parametrize(
    ("number", "damage"), [*((number, "logits") for number in range(4)), (0, "token"), (3, "not finite")]
)
def test_a_graph_of_t3_that_computes_wrong_numbers_is_refused(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, number: int, damage: str
) -> None:
    """Any one of them, in the last of its slots."""
    steps = list(setting.t3.captured_steps())
    name, used, window, replay = steps[number]

    def wrong() -> None:
        replay()
        slots, last = setting.t3.slots, used - 1
        if damage == "logits":
            slots.logits[last, 1] = slots.logits[last, 1].roll(1)
        elif damage == "token":
            slots.next_token[last] += 1
        else:
            slots.logits[last, 1, 5] = torch.nan

    steps[number] = (name, used, window, wrong)
    monkeypatch.setattr(setting.t3, "captured_steps", lambda: iter(steps))
    with pytest.raises(
        ConfigError, match=rf"^The CUDA graph of {name} computes wrong numbers in {setting.precision}: "
    ):
        setting.check_t3()


@pytest.mark.parametrize("number", range(2))
def test_a_graph_of_s3gen_that_computes_wrong_numbers_is_refused(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Any one of them, in a single frame."""
    steps = list(setting.solver.captured_steps())
    name, euler_step, replay = steps[number]

    def wrong() -> None:
        before = euler_step.x[:, 7].clone()
        replay()
        euler_step.x[:, 7] = before - (euler_step.x[:, 7] - before)

    steps[number] = (name, euler_step, wrong)
    monkeypatch.setattr(setting.solver, "captured_steps", lambda: iter(steps))
    with pytest.raises(
        ConfigError, match=rf"^The CUDA graph of {name} computes wrong numbers in {setting.precision}: "
    ):
        setting.check_s3gen()
