"""Time a captured Euler step of S3Gen with a mask and by length, in turn. On CUDA only, in bf16.

    python -m benchmarks.euler [--checkpoint DIR] [--rounds N]

Without --checkpoint, random weights of full size are written to a temporary folder. "Agreement" is the least cosine of
a frame's movement with that of the same step in float32.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monica.engine.chatterbox.estimator import Estimator
    from monica.engine.chatterbox.euler import EulerStep

FRAMES = (640, 768, 1024)
UNUSED = 37
REPLAYS = 20
GUIDANCE, STEPS, INDEX = 0.7, 10, 5


def milliseconds(replay: Callable[[], None]) -> float:
    """Time REPLAYS replays, one after the other. Returns the mean of one."""
    import torch

    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(REPLAYS):
        replay()
    torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - began) / REPLAYS


def compare(reference: Estimator, estimator: Estimator, frames: int, rounds: int) -> str:
    """Time both ways of a step. reference: in float32. Returns a row of the table."""
    import torch
    import torch.nn.functional as F

    from monica.engine.chatterbox.estimator import MEL
    from monica.engine.chatterbox.euler import EulerStep, Padding
    from monica.engine.torch.graphs import Graphs

    generator = torch.Generator().manual_seed(3)
    x, mu, prompt = torch.randn(3, 1, frames - UNUSED, MEL, generator=generator).to(estimator.device).unbind()
    speaker = torch.randn(1, MEL, generator=generator).to(estimator.device)

    def moved(step: EulerStep, run: Callable[[], None]) -> torch.Tensor:
        step.set_inputs(x, step.estimator.cond_features(mu, speaker, prompt), INDEX)
        run()
        return step.x[:, : x.size(1)] - x

    exact = EulerStep(reference, GUIDANCE, x.size(1), STEPS)
    expected = moved(exact, exact.run)
    graphs = Graphs(estimator.device, 2**33)
    ways: tuple[Padding, ...] = ("masked", "by length")
    replays, agreements = [], []
    for padding in ways:
        step = EulerStep(estimator, GUIDANCE, frames, STEPS, padding=padding)
        replays.append(graphs.capture(f"{frames} frames, {padding}", step.run))
        agreements.append(float(F.cosine_similarity(moved(step, replays[-1]), expected, dim=-1).min()))
    times = [[milliseconds(replay) for replay in replays] for _ in range(rounds)]
    masked, by_length = (statistics.median(each) for each in zip(*times, strict=True))
    return (
        f"| {frames} | {masked:.2f} | {by_length:.2f} | {masked / by_length:.2f}x "
        f"| {agreements[0]:.5f} | {agreements[1]:.5f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    import torch

    if not torch.cuda.is_available():
        sys.exit("benchmarks.euler needs an NVIDIA GPU")

    from benchmarks.synthetic_checkpoint import write_checkpoint
    from monica.engine.chatterbox.estimator import Estimator
    from monica.engine.chatterbox.weights import load_s3gen
    from monica.engine.torch.backends import configure_cuda
    from monica.engine.torch.device import describe_device

    configure_cuda()
    with tempfile.TemporaryDirectory() as temporary, torch.inference_mode():
        checkpoint = arguments.checkpoint or Path(temporary)
        if arguments.checkpoint is None:
            write_checkpoint(checkpoint, t3_layers=1)
        upstream = load_s3gen(checkpoint / "s3gen.pt").to("cuda").flow.decoder.estimator
        reference, estimator = Estimator(upstream), Estimator(upstream, precision="bf16")
        sys.stdout.write(f"{describe_device('cuda')}, torch {torch.__version__}, medians of {arguments.rounds}\n\n")
        sys.stdout.write("| frames | mask, ms | by length, ms | | agreement, mask | by length |\n")
        sys.stdout.write("| --- | --- | --- | --- | --- | --- |\n")
        for frames in FRAMES:
            sys.stdout.write(f"{compare(reference, estimator, frames, arguments.rounds)}\n")


if __name__ == "__main__":
    main()
