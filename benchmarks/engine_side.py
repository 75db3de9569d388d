"""One side of `benchmarks.engine`: loads an engine, then executes commands from standard input, one a line."""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks import upstream
from benchmarks.hardware import read_speed
from benchmarks.single_take import synthesize_tokens

Answer = Callable[[int], Any]
IDS = 24
"""Number of ids fed to T3 to compare its logits."""


def upstream_side(checkpoint: Path, device: str) -> dict[str, Answer]:
    tts = upstream.load(checkpoint, device)
    return {
        "t3": lambda tokens: upstream.decode_fresh(tts, tokens),
        "t3_aged": lambda tokens: upstream.decode(tts, tokens),
        "s3gen": lambda tokens: upstream.vocode(tts, tokens),
        "watermark": lambda tokens: upstream.watermark(tts, tokens / 25),
        "age": lambda requests: upstream.age(tts, requests),
    }


def monica_side(precision: str, checkpoint: Path, device: str) -> dict[str, Answer]:
    from monica.config import Settings
    from monica.engine import SynthesisParams
    from monica.engine.chatterbox import checkpoint as checkpoints
    from monica.engine.chatterbox.checkpoint import MEANFLOW_FILE
    from monica.engine.chatterbox.model import Model
    from monica.engine.chatterbox.prompt import embed_prompt
    from monica.engine.chatterbox.s3gen import Token2Wav
    from monica.engine.chatterbox.sampling import BOS, SPEECH_TOKENS
    from monica.engine.chatterbox.weights import load_s3gen

    files = checkpoints.locate(dataclasses.replace(Settings(), model_dir=checkpoint, t3="v2"))
    model = Model(files, device=device, precision=precision, language=upstream.LANGUAGE)
    voice = model.builtin.to(device)
    text_tokens = model.tokenizer.tokenize(upstream.TEXT).to(device)
    ids = torch.randint(SPEECH_TOKENS, (1000,), generator=torch.Generator().manual_seed(0)).to(device)

    def generator(seed: int) -> torch.Generator:
        return torch.Generator(device).manual_seed(seed)

    def step(tokens: int) -> None:
        # This many tokens, whether or not speech has ended.
        for _ in range(tokens):
            model.t3.step()

    def t3(tokens: int) -> float:
        def run() -> None:
            sequence = model.t3.add_sequence(text_tokens, voice, SynthesisParams(), generator(0))
            step(tokens)
            model.t3.free_sequence(sequence)

        return upstream.elapsed(device, run)

    def steps(tokens: int, takes: int = 1) -> float:
        """Time the steps of several takes together, without their prompts."""
        sequences = [model.t3.add_sequence(text_tokens, voice, SynthesisParams(), generator(n)) for n in range(takes)]
        step(3)
        seconds = upstream.elapsed(device, lambda: step(tokens))
        for sequence in sequences:
            model.t3.free_sequence(sequence)
        return seconds

    def time_decoder(token2wav: Token2Wav, tokens: int) -> float:
        def run() -> None:
            synthesize_tokens(token2wav, ids[:tokens], voice, generator=generator(0))

        return upstream.elapsed(device, run)

    @cache
    def meanflow() -> Token2Wav:
        """Load the MeanFlow decoder at its first use: the other figures are those of the standard engine."""
        distilled = Token2Wav(
            load_s3gen(checkpoint / MEANFLOW_FILE).to(device), precision=precision, graphs=model.graphs
        )
        distilled.warm_up()
        return distilled

    def watermark(tokens: int) -> float:
        samples = 0.1 * torch.randn(960 * tokens, device=device)
        return upstream.elapsed(device, lambda: model.watermark.apply(samples))

    def logits(_: int) -> Any:
        with torch.inference_mode():
            prompt = embed_prompt(model.t3.front, text_tokens, voice, SynthesisParams())
        fed = torch.cat([torch.tensor([BOS], device=device), ids[:IDS]])
        return model.t3.teacher_forced_logits(prompt, fed)[:, 0].tolist()

    return {
        "t3": t3,
        "t3_aged": t3,
        "t3_steps": steps,
        "crowd2": lambda tokens: steps(tokens, 2),
        "crowd4": lambda tokens: steps(tokens, 4),
        "crowd8": lambda tokens: steps(tokens, 8),
        "s3gen": lambda tokens: time_decoder(model.token2wav, tokens),
        "s3gen_meanflow": lambda tokens: time_decoder(meanflow(), tokens),
        "watermark": watermark,
        "slots": lambda _: model.t3.slots.count,
        "logits": logits,
        "bandwidth": lambda _: read_speed(device),
        "bytes": lambda _: bytes_a_step(model, precision),
    }


def bytes_a_step(model: Any, precision: str) -> float:
    """Return the bytes of weights that one step of T3 reads: layers in their precision, the head in float32."""
    config = model.t3.front.cfg
    layer = config.hidden_size * (4 * config.hidden_size + 3 * config.intermediate_size)
    width = {"fp32": 4, "bf16": 2, "int8": 1}[precision]
    return float(len(model.t3.llama.layers) * layer * width + model.t3.front.speech_head.weight.nbytes)


def peak(device: str) -> float:
    """Return the peak memory in GiB: of the GPU on CUDA, otherwise of the process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    name, checkpoint, device = sys.argv[1], Path(sys.argv[2]), sys.argv[3]

    def write_answer(answer: object) -> None:
        sys.stdout.write(f"= {json.dumps(answer)}\n")
        sys.stdout.flush()

    if name != "upstream":
        import monica.engine.chatterbox.model  # noqa: F401  # imports are not counted, on either side
    else:
        import chatterbox.mtl_tts  # noqa: F401
    began = time.perf_counter()
    answers = upstream_side(checkpoint, device) if name == "upstream" else monica_side(name, checkpoint, device)
    answers["peak"] = lambda _: peak(device)
    write_answer({"seconds": time.perf_counter() - began})
    for line in sys.stdin:
        what, number = line.split()
        write_answer(answers[what](int(number)))


if __name__ == "__main__":
    main()
