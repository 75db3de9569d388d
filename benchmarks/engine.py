"""Time the engine against upstream's: T3, S3Gen and the whole, at fixed token counts, on CUDA or else on the CPU.

    python -m benchmarks.engine [--checkpoint DIR] [--tokens [50 150 500]] [--rounds N] [--load-rounds N] [--cpu]
    python -m benchmarks.engine --profile trace.json [--checkpoint DIR] [--tokens 50] [--cpu]

Each side loads the same checkpoint in its own process. They do one thing at a time and take turns, so that other load
on the machine affects all of them. Without --checkpoint, random weights of the full size are written to a temporary
folder: compute does not depend on the weights. The figures are medians; read the ratios.

The columns "MeanFlow" are the engine with MONICA_S3GEN=meanflow. It differs only in S3Gen, so one process measures both
decoders, in turn, and the two figures share everything else: T3, the watermark, and where their memory lies. They are
left out if --checkpoint has no MeanFlow decoder.

With --profile nothing is compared. Monica's engine makes one take, of the first number of --tokens, under
torch.profiler, in the precision that MONICA_PRECISION=auto would choose. The file is a Chrome trace: open it at
https://ui.perfetto.dev or in chrome://tracing. Every step of the engine is a span called "engine step".
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

T3 = "v2"
"""The only name upstream's released package knows."""
TOKENS_A_SECOND = 25
REQUESTS = 30
"""Number of requests after which upstream is measured again."""
CROWD_TOKENS = 50
MEANFLOW_SIDES = {"cpu": ("fp32", "int8"), "cuda": ("bf16",)}
"""The sides that are measured with the MeanFlow decoder, too."""

Figures = dict[str, float]


class Side:
    """A process that has loaded one engine and executes commands: one line for each command, one for each answer."""

    def __init__(self, name: str, checkpoint: Path, device: str) -> None:
        self.name = name
        for path in checkpoint.iterdir():  # read it into the page cache, so that all sides start alike
            with path.open("rb") as file:
                while file.read(2**24):
                    pass
        command = [sys.executable, "-m", "benchmarks.engine_side", name, str(checkpoint), device]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"},
        )
        self._loaded: Any = None

    @property
    def loaded(self) -> Any:
        """What it says once it has loaded. The process loads while this one goes on."""
        if self._loaded is None:
            self._loaded = self._read_answer()
        return self._loaded

    def ask(self, what: str, number: int = 0) -> Any:
        """Execute one command. Returns the side's answer."""
        assert self.loaded
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what} {number}\n")
        self._process.stdin.flush()
        return self._read_answer()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read_answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("= "):
                return json.loads(line[2:])
        raise RuntimeError(f"{self.name} ended; try: python -m benchmarks.engine_side {self.name} CHECKPOINT DEVICE")


def load_alone(names: list[str], checkpoint: Path, device: str, rounds: int) -> list[float]:
    """Load each side in turn, with no other in memory. Returns median seconds without imports."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            side = Side(name, checkpoint, device)
            seconds[name].append(side.loaded["seconds"])
            side.end()
    return [statistics.median(each) for each in seconds.values()]


def take_turns(sides: list[Side], what: str, number: int, rounds: int) -> dict[str, float]:
    """Time one command on each side, in turn. Returns median seconds by side."""
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            seconds[side.name].append(side.ask(what, number))
    return {name: statistics.median(each) for name, each in seconds.items()}


def time_s3gen(sides: list[Side], distilled: list[Side], tokens: int, rounds: int) -> tuple[Figures, Figures]:
    """Time S3Gen on each side, in turn, and right after it with the MeanFlow decoder on those that have it.

    Returns median seconds by side: of all sides, and of the distilled ones with MeanFlow.
    """
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    meanflow: dict[str, list[float]] = {side.name: [] for side in distilled}
    for _ in range(rounds):
        for side in sides:
            seconds[side.name].append(side.ask("s3gen", tokens))
            if side in distilled:
                meanflow[side.name].append(side.ask("s3gen_meanflow", tokens))
    standard, fast = (
        {name: statistics.median(each) for name, each in figures.items()} for figures in (seconds, meanflow)
    )
    return standard, fast


def compare(sides: list[Side], distilled: list[Side], tokens: list[int], rounds: int) -> Iterator[str]:
    """Measure everything. distilled: the sides that also have the MeanFlow decoder. Yields the lines of the report."""
    upstream, *monicas = sides
    names = [side.name for side in sides]
    gains = []
    for count in tokens:
        for side in sides:
            side.ask("t3", 4)  # warm up
        for side in distilled:
            side.ask("s3gen_meanflow", 4)  # load and warm up
        t3 = take_turns(sides, "t3", count, rounds)
        s3gen, meanflow = time_s3gen(sides, distilled, count, rounds)
        mark = take_turns(sides, "watermark", count, rounds)
        whole = {name: t3[name] + s3gen[name] + mark[name] for name in names}
        fast = {name: t3[name] + meanflow[name] + mark[name] for name in meanflow}
        gains += [
            f"MeanFlow to the standard decoder, {count} tokens, {name}: S3Gen {s3gen[name] / meanflow[name]:.2f}x, "
            f"whole {whole[name] / fast[name]:.2f}x"
            for name in meanflow
        ]
        yield row(f"T3, {count} tokens, tokens/s", *(with_ratio(count / t3[n], count / t3[names[0]]) for n in names))
        seconds = [*s3gen.values(), *meanflow.values()]
        yield row(f"S3Gen, {count} tokens, s", *(f"{each:.3f} ({seconds[0] / each:.2f}x)" for each in seconds))
        rtf = [each * TOKENS_A_SECOND / count for each in (*whole.values(), *fast.values())]
        yield row(f"whole, {count} tokens, RTF", *(f"{each:.3f} ({rtf[0] / each:.2f}x)" for each in rtf))
    yield row("peak memory, GiB", *(f"{side.ask('peak'):.2f}" for side in sides))
    floor = monicas[0].ask("bandwidth")
    yield row(
        "T3 share of the memory's speed",
        "",
        *(f"{side.ask('bytes') / floor / (side.ask('t3_steps', CROWD_TOKENS) / CROWD_TOKENS):.2f}" for side in monicas),
    )
    alone = take_turns(monicas, "t3_steps", CROWD_TOKENS, rounds)
    slots = {side.name: side.ask("slots") for side in monicas}
    for crowd in (2, 4, 8):
        together = take_turns([s for s in monicas if slots[s.name] >= crowd], f"crowd{crowd}", CROWD_TOKENS, rounds)
        cells = [f"{crowd * alone[n] / together[n]:.2f}x" if n in together else "no memory" for n in slots]
        yield row(f"{crowd} takes at once, to one", "", *cells)
    yield ""
    yield from gains
    exact = monicas[0].ask("logits")
    for side in monicas[1:]:
        yield f"{side.name} against {monicas[0].name}: {diverge(exact, side.ask('logits'))}"
    upstream.ask("age", REQUESTS)
    aged = take_turns([upstream, monicas[0]], "t3_aged", tokens[0], rounds)
    first = tokens[0] / aged[upstream.name]
    second = tokens[0] / aged[monicas[0].name]
    yield f"after {REQUESTS} requests, T3 of {tokens[0]} tokens: upstream {first:.2f}/s, Monica {second / first:.2f}x"


def diverge(exact: list[list[float]], near: list[list[float]]) -> str:
    """Compare next-token distributions after the same ids. exact, near: (N, V) logits."""
    import torch

    one, other = torch.tensor(exact), torch.tensor(near)
    cosine = torch.nn.functional.cosine_similarity(one, other).min()
    log_one, log_other = torch.log_softmax(one, -1), torch.log_softmax(other, -1)
    divergence = (log_one.exp() * (log_one - log_other)).sum(-1)
    same = (one.argmax(-1) == other.argmax(-1)).float().mean()
    return (
        f"logits' cosine at least {cosine:.4f}, KL {divergence.mean():.5f} nats a token "
        f"(at most {divergence.max():.5f}), the same likeliest token {same:.0%}"
    )


def with_ratio(value: float, reference: float) -> str:
    return f"{value:.2f} ({value / reference:.2f}x)"


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def profile_take(checkpoint: Path, device: str, tokens: int, trace: Path) -> None:
    """Make one take of `tokens` tokens under torch.profiler, and write a Chrome trace of it."""
    import torch
    from torch.profiler import ProfilerActivity, profile, record_function

    from benchmarks.upstream import LANGUAGE, TEXT
    from monica.config import Settings
    from monica.engine import SynthesisParams
    from monica.engine.chatterbox.checkpoint import locate
    from monica.engine.chatterbox.model import Model
    from monica.engine.chatterbox.utterances import Utterances
    from monica.engine.torch.device import choose_precision

    files = locate(dataclasses.replace(Settings(), model_dir=checkpoint, t3=T3))
    model = Model(files, device=device, precision=choose_precision("auto", device), language=LANGUAGE)
    utterances, voice = Utterances(model), model.builtin.to(device)

    def make_take(max_tokens: int) -> None:
        utterance = utterances.begin(TEXT, voice, SynthesisParams(max_tokens=max_tokens), 0)
        while not utterance.done:
            with record_function("engine step"):
                utterances.step()
        if utterance.error is not None:
            raise utterance.error

    make_take(2)  # what is done once must not be in the trace
    activities = [ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities, acc_events=True) as profiler:  # True: without it torch warns, once a process
        make_take(tokens)
        if device == "cuda":
            torch.cuda.synchronize()
    profiler.export_chrome_trace(str(trace))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--tokens", type=int, nargs="*", default=[50, 150, 500], help="none: measure only loading")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load-rounds", type=int, default=3, help="0: do not measure loading")
    parser.add_argument("--cpu", action="store_true", help="even if there is CUDA")
    parser.add_argument("--profile", type=Path, metavar="TRACE", help="write a Chrome trace of one take, and end")
    arguments = parser.parse_args()
    if arguments.profile and not arguments.tokens:
        parser.error("--profile needs a number of --tokens")

    import torch

    from monica.engine.chatterbox.checkpoint import MEANFLOW_FILE
    from monica.engine.torch.device import describe_device

    device = "cuda" if torch.cuda.is_available() and not arguments.cpu else "cpu"
    precisions = ["fp32", "bf16"] if device == "cuda" else ["fp32", "int8", "bf16"]
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = arguments.checkpoint or Path(temporary)
        if arguments.checkpoint is None:
            from benchmarks.synthetic_checkpoint import write_checkpoint

            write_checkpoint(checkpoint, t3=T3, meanflow=not arguments.profile)
        if arguments.profile:
            profile_take(checkpoint, device, arguments.tokens[0], arguments.profile)
            sys.stdout.write(f"{describe_device(device)}, {arguments.tokens[0]} tokens: {arguments.profile}\n")
            return
        sys.stdout.write(f"{describe_device(device)}, torch {torch.__version__}, medians of {arguments.rounds}\n\n")
        sides: list[Side] = []
        try:
            names = ["upstream", *precisions]
            has_meanflow = (checkpoint / MEANFLOW_FILE).exists()
            distilled = [name for name in names if has_meanflow and name in MEANFLOW_SIDES[device]]
            columns = [*names, *(f"{name}, MeanFlow" for name in distilled)]
            sys.stdout.write(f"{row('', *columns)}\n{row(*['---'] * (len(columns) + 1))}\n")
            if arguments.load_rounds:
                loads = load_alone(names, checkpoint, device, arguments.load_rounds)
                cells = (f"{each:.2f} ({each / loads[0]:.2f} of it)" for each in loads)
                sys.stdout.write(f"{row('load, s', *cells)}\n")
                sys.stdout.flush()
            if not arguments.tokens:
                return
            sides += [Side(name, checkpoint, device) for name in names]
            also = [side for side in sides if side.name in distilled]
            for line in compare(sides, also, arguments.tokens, arguments.rounds):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        finally:
            for side in sides:
                side.end()


if __name__ == "__main__":
    main()
