"""Measure how soon a streamed take is heard, beside the same take made whole.

    python -m benchmarks.stream [--checkpoint DIR] [--tokens N] [--rounds N] [--precision P]
        [--t3-layers N] [--meanflow]

It runs from text to watermarked sound in the engine, without HTTP; on CUDA if available. Without --checkpoint a
synthetic one of full size is written: the weights do not affect the time. The distance between the streamed sound and
the whole one is printed beside the distance between two whole ones that differ only in S3Gen's noise.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import statistics
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from monica.engine.chatterbox.conditionals import Conditionals
    from monica.engine.chatterbox.model import Model

TEXT = "Rusmir vient d'éliminer Pablo avec une paire d'as, et la salle se lève pour applaudir les deux joueurs."
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Made:
    """A take, and how long it took."""

    first_s: float
    """Seconds until the first sound."""
    total_s: float
    """Seconds until the last sound."""
    chunks: int
    """How many chunks it came in."""
    samples: Samples


def make(model: Model, voice: Conditionals, tokens: int, *, stream: bool) -> Made:
    """Make a take of `tokens` tokens."""
    from monica.engine import SynthesisParams
    from monica.engine.chatterbox.utterances import Utterances

    utterances = Utterances(model)
    began = time.perf_counter()
    first = None
    utterance = utterances.begin(TEXT, voice, SynthesisParams(max_tokens=tokens), 0, stream=stream)
    while not utterance.done:
        utterances.step()
        if first is None and utterance.chunks:
            first = time.perf_counter() - began
    total = time.perf_counter() - began
    assert utterance.samples is not None, utterance.error
    return Made(total if first is None else first, total, max(1, len(utterance.chunks)), utterance.samples)


def apart(ours: Samples, theirs: Samples) -> float:
    """Return the mean difference of the mel spectra of two sounds, in decibels."""
    import librosa

    levels = [
        librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=24_000, n_mels=80), ref=1.0, top_db=None)
        for samples in (ours, theirs)
    ]
    return float(np.abs(levels[0] - levels[1]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--tokens", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16", "int8"], default="auto")
    parser.add_argument("--t3-layers", type=int, default=30)
    parser.add_argument("--prompt-s", type=float, default=10.0)
    parser.add_argument("--meanflow", action="store_true", help="with the MeanFlow decoder")
    arguments = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")

    import torch

    from benchmarks.hardware import describe_cpu
    from benchmarks.single_take import synthesize_tokens
    from benchmarks.synthetic_checkpoint import write_checkpoint
    from monica.config import Settings
    from monica.engine.chatterbox import checkpoint
    from monica.engine.chatterbox.model import Model
    from monica.engine.torch.device import choose_precision, describe_device

    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = choose_precision(arguments.precision, device)
    with tempfile.TemporaryDirectory() as scratch:
        directory = arguments.checkpoint or Path(scratch)
        if arguments.checkpoint is None:
            write_checkpoint(
                directory,
                t3_layers=arguments.t3_layers,
                prompt_s=arguments.prompt_s,
                eos_bias=0.0,
                meanflow=arguments.meanflow,
            )
        s3gen = "meanflow" if arguments.meanflow else "standard"
        files = checkpoint.locate(dataclasses.replace(Settings(), model_dir=directory, s3gen=s3gen))
        model = Model(files, device=device, precision=precision, language="fr")
    voice = model.builtin.to(device)
    machine = describe_device(device) if device == "cuda" else describe_cpu()
    prompt = voice.s3gen_mel.size(1) / 50
    sys.stdout.write(f"{machine}, {precision}, {s3gen}, {arguments.tokens} tokens, a prompt of {prompt:.1f} s\n\n")

    cold = make(model, voice, arguments.tokens, stream=True)
    rounds = [
        (make(model, voice, arguments.tokens, stream=False), make(model, voice, arguments.tokens, stream=True))
        for _ in range(arguments.rounds)
    ]
    whole = statistics.median(made.total_s for made, _ in rounds)
    first = statistics.median(made.first_s for _, made in rounds)
    total = statistics.median(made.total_s for _, made in rounds)
    sys.stdout.write("|  | first sound, to the whole take | all of it, to the whole take | chunks |\n")
    sys.stdout.write("| --- | --- | --- | --- |\n")
    sys.stdout.write("| made whole | 1 | 1 | 1 |\n")
    sys.stdout.write(
        f"| the voice's first stream | {cold.first_s / whole:.2f} | {cold.total_s / whole:.2f} | {cold.chunks} |\n"
    )
    sys.stdout.write(f"| a stream | {first / whole:.2f} | {total / whole:.2f} | {rounds[0][1].chunks} |\n")
    sys.stdout.write("| target | 0.25 at most | 1.3 at most |  |\n\n")
    if device == "cuda":
        sys.stdout.write(f"made whole: {whole:.3f} s; streamed: first sound {first:.3f} s, all {total:.3f} s\n\n")

    made, streamed = rounds[0][0].samples, rounds[0][1].samples
    assert made.shape == streamed.shape, "the tokens are not the same"
    ids = torch.arange(7, 7 + len(made) // 960, device=device)
    generators = (torch.Generator(device).manual_seed(seed) for seed in (1, 2))
    two = [synthesize_tokens(model.token2wav, ids, voice, generator=each).cpu().numpy() for each in generators]
    level = 20 * np.log10(np.sqrt(np.mean(streamed**2) / np.mean(made**2)))
    sys.stdout.write(f"mel spectra apart: streamed and whole {apart(streamed, made):.2f} dB; ")
    sys.stdout.write(f"two whole ones of other noise {apart(*two):.2f} dB. Level: {level:+.2f} dB.\n")
    sys.stdout.write("Random weights: this says nothing about how either sounds.\n")


if __name__ == "__main__":
    main()
