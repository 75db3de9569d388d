"""Count what the engine does on CUDA, and model how long that takes, on a machine without a GPU.

    python -m benchmarks.cuda_model [--write FILE]

The engine runs on fake tensors of the device cuda:0 (benchmarks/rehearsal), in bf16, its default there. Every operation
is recorded. Kernels, launches and bytes are counted; the times are modelled from them and from assumptions about two
GPUs (`Gpu` in benchmarks/rehearsal/cost.py); nothing is measured. Beside each figure is that of an earlier version, as
this command counted it. With --write, the counts are written to a file, which can be such a record.

T3 is counted with one and with two layers; the others are like the second.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.rehearsal import CUDA, Rehearsal
from benchmarks.rehearsal.cost import GPUS, Cost, count
from monica.engine import SynthesisParams

RECORD = Path(__file__).parent / "cuda_model_before.json"
LAYERS = 30
WIDTH, HIDDEN, HEAD_IDS = 1024, 4096, 8194
"""Of T3: its activations, the inside of its feed-forward networks, its vocabulary."""
SHORTEST, LONGEST = 80, 520
"""Positions that the takes fill, spread evenly: 300 on average. A prompt is about 80; a take of 17 s reaches 520."""
TARGETS = {"a T3 step": 400, "S3Gen: an Euler step": 750, "HiFT, 4 s": 300}
"""Upper bounds on kernels."""
HOP_LAUNCHES = 20
BYTES_TARGET = 1.15
TOKENS, PROMPT_TOKENS = 100, 250
"""Of S3Gen: a take of four seconds, and a prompt of ten."""

Parts = dict[str, Cost]


def lengths_of(takes: int) -> list[int]:
    """Return how many positions each of some takes fills."""
    mean = (SHORTEST + LONGEST) // 2
    if takes == 1:
        return [mean]
    return [SHORTEST + round(index * (LONGEST - SHORTEST) / (takes - 1)) for index in range(takes)]


def ideal_bytes(takes: int) -> int:
    """Return what a step of T3 cannot avoid reading: each weight once, and the keys and values that are there."""
    weights = LAYERS * (4 * WIDTH**2 + 3 * WIDTH * HIDDEN) * 2
    positions = sum(lengths_of(takes)) * 2 * LAYERS * 2 * WIDTH * 2
    return weights + 4 * WIDTH * HEAD_IDS + positions


def step_name(takes: int, top_p: bool = False) -> str:
    return f"a T3 step, {takes} {'take' if takes == 1 else 'takes'}{', top-p 0.9' if top_p else ''}"


def count_t3(layers: int) -> Parts:
    """Count steps of a T3 of so many layers, and what admits a take."""
    parts: Parts = {}
    with Rehearsal("bf16") as rehearsal:
        t3 = rehearsal.load_t3(layers=layers)
        voice, text = rehearsal.voice(), torch.zeros(20, dtype=torch.int64, device=CUDA)

        def admit() -> None:
            t3.add_sequence(text, voice, SynthesisParams(), rehearsal.generator())

        def steps(takes: int, top_p: bool = False) -> None:
            while len(t3.running) < takes:
                admit()
            lengths = lengths_of(takes)
            for sequence, length in zip(t3.running, lengths, strict=True):
                sequence.position = length - 1  # it fills one more
                if hasattr(sequence, "top_p"):
                    sequence.top_p = top_p
            computed = next(number for number in (1, 2, 3, 4, 6, 8) if number >= takes)
            cached = 2 * (sum(lengths) + computed - takes)  # an idle slot reads one position
            parts[step_name(takes, top_p)] = record(rehearsal, t3.step, cached)

        parts["a take is admitted"] = record(rehearsal, admit)
        steps(1)
        steps(1, top_p=True)
        for takes in (4, 5, 8):
            steps(takes)
    return parts


def count_s3gen() -> Parts:
    """Count the passes of a take through S3Gen, and a hop of a stream."""
    from monica.engine.chatterbox.streaming import StreamingToken2Wav
    from monica.engine.chatterbox.watermark import Watermark

    parts: Parts = {}
    with Rehearsal("bf16") as rehearsal:
        watermark = Watermark(CUDA)
        token2wav = rehearsal.load_token2wav(warm_up=False)
        streaming = StreamingToken2Wav(token2wav, watermark)
        capture_passes(token2wav, streaming)
        voice = rehearsal.voice(PROMPT_TOKENS)
        ids = torch.zeros(TOKENS, dtype=torch.int64, device=CUDA)
        synthesis = token2wav.synthesize(ids, voice, generator=rehearsal.generator())
        passes = list(record_passes(rehearsal, synthesis))
        parts["S3Gen: the encoder"], parts["S3Gen: an Euler step"] = passes[0], passes[2]
        parts["HiFT, 4 s"] = passes[-1]
        stream = streaming.start_stream(voice, rehearsal.generator())
        for tokens in (32, 64):
            hop = list(record_passes(rehearsal, stream.synthesize_hop([0] * tokens, last=False)))
        parts["a hop of a stream, 64 frames"] = Cost(
            sum(each.kernels for each in hop),
            sum(each.launches for each in hop),
            sum(each.bytes for each in hop),
            {gpu.name: sum(each.seconds[gpu.name] for each in hop) for gpu in GPUS},
        )
    return parts


def capture_passes(token2wav: Any, streaming: Any) -> None:
    """Capture what a version of S3Gen captures beside its Euler steps, which are captured when they are needed."""
    for part in (token2wav.encoder, token2wav.hift):
        if hasattr(part, "warm_up"):
            part.warm_up()
    if hasattr(streaming, "warm_up"):
        streaming.warm_up(token2wav.solver._graphs)


def record(rehearsal: Rehearsal, work: Callable[[], object], cached: int = 0) -> Cost:
    before = len(rehearsal.device.replays)
    operations = rehearsal.record(work)
    return count(operations, len(rehearsal.device.replays) - before, cached)


def record_passes(rehearsal: Rehearsal, synthesis: Any) -> Iterator[Cost]:
    """Count each pass of a synthesis."""
    ended: list[bool] = []

    def run() -> None:
        try:
            next(synthesis)
        except StopIteration:
            ended.append(True)

    while not ended:
        yield record(rehearsal, run)


def count_all() -> Parts:
    one, two = count_t3(1), count_t3(2)
    return {name: cost.scaled(one[name], LAYERS - 2) for name, cost in two.items()} | count_s3gen()


def times_ideal(ideal: int, cost: Cost) -> str:
    return f"{cost.bytes / ideal:.2f}x"


def milliseconds(gpu: str, cost: Cost) -> str:
    return f"{1000 * cost.seconds[gpu]:.2f}"


def report(before: dict[str, Any], now: Parts) -> Iterator[str]:
    """Yield the lines of the report."""
    commit, old = before["commit"], {name: Cost(**cost) for name, cost in before["parts"].items()}

    def pair(name: str, figure: Callable[[Cost], str]) -> str:
        return f"{figure(old[name]) if name in old else '-'} | {figure(now[name])}"

    yield f"Counted on fake tensors, torch {torch.__version__}, bf16; before: {commit}. Nothing here was measured."
    yield f"Several takes fill {SHORTEST} to {LONGEST} positions, one take {lengths_of(1)[0]}."
    yield ""
    yield "| counted | kernels before | now | target | launches by the host before | now | MB moved before | now |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name in now:
        target = next((f"{most}" for part, most in TARGETS.items() if name.startswith(part)), "")
        if "hop" in name:
            target = f"{HOP_LAUNCHES} launches"
        cells = pair(name, lambda cost: f"{cost.kernels}"), target, pair(name, lambda cost: f"{cost.launches}")
        yield f"| {name} | {' | '.join(cells)} | {pair(name, lambda cost: f'{cost.bytes / 1e6:.0f}')} |"
    yield ""
    yield "| counted | ideal MB | moved before | now | target |"
    yield "| --- | --- | --- | --- | --- |"
    for takes in (1, 4, 5, 8):
        ideal = ideal_bytes(takes)
        ratios = pair(step_name(takes), partial(times_ideal, ideal))
        yield f"| {step_name(takes)} | {ideal / 1e6:.0f} | {ratios} | {BYTES_TARGET}x |"
    yield ""
    yield f"| modelled, ms | {' | '.join(f'{gpu.name} before | now' for gpu in GPUS)} |"
    yield f"| --- |{' --- |' * 2 * len(GPUS)}"
    for name in now:
        times = [pair(name, partial(milliseconds, gpu.name)) for gpu in GPUS]
        yield f"| {name} | {' | '.join(times)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the counts to a file, and print nothing")
    parser.add_argument("--commit", default="", help="what the file calls this version")
    arguments = parser.parse_args()
    now = count_all()
    if arguments.write:
        parts = {name: dataclasses.asdict(cost) for name, cost in now.items()}
        arguments.write.write_text(json.dumps({"commit": arguments.commit, "parts": parts}, indent=1) + "\n")
        return
    for line in report(json.loads(RECORD.read_text()), now):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
