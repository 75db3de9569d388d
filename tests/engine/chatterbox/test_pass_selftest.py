"""The self-test of the encoder's, the vocoder's and the hops' graphs: right ones pass, a wrong one is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from monica.engine.chatterbox import captured_hops, captured_sounds, pass_selftest
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.hift import HiFT
from monica.engine.chatterbox.s3gen import Token2Wav
from monica.engine.chatterbox.streaming import StreamingToken2Wav
from monica.engine.chatterbox.watermark import Watermark
from monica.errors import ConfigError

from .conftest import load_shallow
from .tape import TapeGraphs


class Captured:
    """An S3Gen whose passes are captured by tapes, and its estimator in float32."""

    def __init__(self, checkpoint_dir: Path) -> None:
        module = load_shallow(checkpoint_dir)
        self.reference = Estimator(module.flow.decoder.estimator)
        graphs = TapeGraphs()
        self.token2wav = Token2Wav(module, graphs=graphs)
        self.token2wav.hift = HiFT(module.mel2wav, fused=True, graphs=graphs)
        self.token2wav.encoder.warm_up()
        self.token2wav.hift.warm_up()
        self.streaming = StreamingToken2Wav(self.token2wav, Watermark())
        self.streaming.warm_up(graphs)
        self.captured = graphs.captured

    def check(self) -> int:
        assert self.streaming.hops is not None
        count = pass_selftest.check_functions(self.streaming.captured_functions())
        return count + pass_selftest.check_hops(self.streaming.hops, self.reference, "fp32")


@pytest.fixture(scope="module")
def captured(checkpoint_dir: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monica.engine.chatterbox.euler.EULER_STEPS", 2)
        patch.setattr("monica.engine.chatterbox.token_encoder.BUCKETS", range(16, 17))
        patch.setattr("monica.engine.chatterbox.hift.TILES", (32,))
        for module in (captured_hops, pass_selftest):
            patch.setattr(module, "HOPS", (6, 20))
        patch.setattr(captured_hops, "PROMPT_FRAMES", 56)
        patch.setattr(captured_sounds, "SIZES", (58,))
        yield Captured(checkpoint_dir)


def test_every_graph_is_tried(captured: Captured) -> None:
    assert captured.check() == captured.captured == 8


@pytest.mark.parametrize(
    "name",
    [
        "the encoder of 16 tokens",
        "the pitch of 32 frames",
        "the sound of 2 times 32 frames",
        "the sound of a hop of 58 frames",
    ],
)
def test_a_graph_that_computes_wrong_numbers_is_named(
    captured: Captured, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [wrong] = [each for each in captured.streaming.captured_functions() if each.name == name]
    replay = wrong._replay

    def lie() -> None:
        replay()
        wrong._result.view(-1)[3] += wrong._result.square().mean().sqrt() / 100  # a single number

    monkeypatch.setattr(wrong, "_replay", lie)
    with pytest.raises(
        ConfigError, match=rf"The CUDA graph of {name} computes wrong numbers in fp32.*MONICA_PRECISION"
    ):
        captured.check()


def test_a_hop_that_computes_wrong_numbers_is_named(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that sees the padding of a hop, for example."""
    hops = captured.streaming.hops
    assert hops is not None
    hop, replay = hops._hops[20]

    def lie() -> None:
        replay()
        hop.x.copy_(hop.x.flip(1))

    monkeypatch.setitem(hops._hops, 20, (hop, lie))
    with pytest.raises(ConfigError, match="The CUDA graph of a hop of 20 frames computes wrong numbers"):
        captured.check()


def test_values_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match="nothing"):
        pass_selftest._require("nothing", "bf16", 0.9, Tensor([float("nan")]))
