"""The self-test of what is captured beside T3 and the Euler steps: the encoder, the vocoder and the hops of streams.

Encoder and vocoder compute in float32 anyway, so each graph is compared with its own function, run kernel by kernel.
A hop is compared with the same frames by an estimator in float32, on a cache that grows and moves.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine.chatterbox.captured_hops import HOPS, CapturedHops
from monica.engine.chatterbox.estimator import MEL, Estimator
from monica.engine.chatterbox.euler import EulerSolver
from monica.engine.chatterbox.selftest import MIN_AGREEMENT
from monica.engine.torch.captured import CapturedFunction
from monica.errors import ConfigError

SEED = 17
MIN_HOP_AGREEMENT = {"fp32": 0.99, "bf16": 0.9}
"""The least agreement that passes for a frame of a hop, by precision: ten steps add up what one of them rounds."""
PROMPT_FRAMES = 50
UNUSED_FRAMES = 7


@torch.inference_mode()
def check_functions(functions: Iterable[CapturedFunction]) -> int:
    """Run each graph of the encoder, the vocoder and the sounds of hops. Returns how many there were.

    Raises ConfigError with the name of a graph that computes something else.
    """
    count = 0
    for captured in functions:
        inputs = _random_inputs(captured)
        found, wanted = captured(*inputs), captured.function(*inputs)
        # Not the cosine of the whole: in a hundred thousand samples, it hides a frame that is wrong.
        worst = (found - wanted).abs().amax() / wanted.square().mean().sqrt()
        _require(captured.name, "fp32", MIN_AGREEMENT["fp32"], 1 - worst)
        count += 1
    return count


@torch.inference_mode()
def check_hops(hops: CapturedHops, reference: Estimator, precision: str) -> int:
    """Run each graph of a hop. reference: the estimator in float32. Returns how many there were.

    Every frame must move in the same direction. Raises ConfigError with the name of a graph that does something else.
    """
    exact = EulerSolver(reference, guidance=hops.solver.guidance)
    generator = torch.Generator().manual_seed(SEED)

    def draw(frames: int) -> Tensor:
        return torch.randn(1, frames, MEL, generator=generator).to(hops.speaker)

    speaker, prompt = draw(1)[:, 0], [draw(PROMPT_FRAMES) for _ in range(3)]
    caches = []
    for solver in (hops.solver, exact):
        cache = solver.start_cache()
        noise, mu, mel = prompt
        _finish(solver, noise, mu, speaker, mel, cache)
        caches.append(cache)
    state, exact_cache = hops.start(hops.flatten(caches[0], speaker)), exact.start_cache(caches[1])
    for frames in HOPS:
        used = frames - min(UNUSED_FRAMES, frames // 2)
        noise, mu = draw(used), draw(used)
        found = hops.solve(noise, mu, state)
        wanted = _finish(exact, noise, mu, speaker, torch.zeros_like(mu), exact_cache)
        agreement = F.cosine_similarity(found - noise, wanted - noise, dim=-1).min()
        _require(f"a hop of {frames} frames", precision, MIN_HOP_AGREEMENT[precision], agreement)
    return len(HOPS)


def _random_inputs(captured: CapturedFunction) -> list[Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    return [
        torch.randn(given.shape, generator=generator).to(given) if given.is_floating_point() else given
        for given in captured.example
    ]


def _finish(solver: EulerSolver, *inputs: object) -> Tensor:
    """Run all passes of a chunk."""
    passes = solver.solve_chunk(*inputs)  # type: ignore[arg-type]
    while True:
        try:
            next(passes)
        except StopIteration as finished:
            result: Tensor = finished.value
            return result


def _require(name: str, precision: str, least: float, agreement: Tensor) -> None:
    found = float(agreement)
    if not found >= least:  # NaN too
        raise ConfigError(
            f"The CUDA graph of {name} computes wrong numbers in {precision}: they agree with float32 to {found:.3f}. "
            "Try MONICA_PRECISION=fp32, another PyTorch or driver, or MONICA_DEVICE=cpu."
        )
