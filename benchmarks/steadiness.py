"""Make a thousand takes and see whether anything grows: hooks, resident memory, time per token.

    python -m benchmarks.steadiness [--takes N] [--blocks N]

It makes whole takes of many lengths, from text to watermarked sound, on a small synthetic checkpoint; on CUDA if
available. Each take is paused twice, in T3 and in S3Gen.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import logging
import resource
import statistics
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

TEXTS = (
    "Bonsoir.",
    "Rusmir relance à quatre mille, Pablo suit.",
    "Il reste douze joueurs, et la pause est à 21 heures.",
)
LAYERS = 2


def resident() -> float:
    """Return the MiB in memory now, or the peak on systems that do not tell."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--takes", type=int, default=1000)
    parser.add_argument("--blocks", type=int, default=10)
    arguments = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")

    import torch

    from benchmarks.single_take import generate_tokens
    from benchmarks.synthetic_checkpoint import write_checkpoint
    from monica.config import Settings
    from monica.engine import SynthesisParams
    from monica.engine.chatterbox import checkpoint
    from monica.engine.chatterbox.model import Model
    from monica.engine.chatterbox.utterances import Utterances
    from monica.engine.torch.device import choose_precision, describe_device

    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = choose_precision("auto", device)
    with tempfile.TemporaryDirectory() as directory:
        write_checkpoint(Path(directory), t3_layers=LAYERS, prompt_s=0.4)
        files = checkpoint.locate(dataclasses.replace(Settings(), model_dir=Path(directory)))
        model = Model(files, device=device, precision=precision, language="fr")
    utterances, voice = Utterances(model), model.builtin.to(device)
    sys.stdout.write(f"{describe_device(device)}, {precision}, T3 of {LAYERS} layers, {arguments.takes} takes\n\n")
    sys.stdout.write("| takes | hooks | threads | resident, MiB | objects | T3, ms a token | whole, ms a token |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- | --- | --- |\n")
    size = arguments.takes // arguments.blocks
    for block in range(arguments.blocks):
        t3_ms, whole_ms = [], []
        for number in range(block * size, (block + 1) * size):
            params = SynthesisParams(max_tokens=4 + number % 12, cfg_weight=0.5 * (number % 5 > 0))
            text = TEXTS[number % len(TEXTS)]
            generator = torch.Generator(device).manual_seed(number)
            began = time.perf_counter()
            text_tokens = model.tokenizer.tokenize(text).to(device)
            tokens = generate_tokens(model.t3, text_tokens, voice, params, generator)
            t3_ms.append(1000 * (time.perf_counter() - began) / max(1, len(tokens)))
            began = time.perf_counter()
            utterance = utterances.begin(text, voice, params, number)
            steps = 0
            while not utterance.done:
                if steps in (2, params.max_tokens + 2):
                    utterances.pause(utterance)
                    utterances.resume(utterance)
                utterances.step()
                steps += 1
            assert utterance.samples is not None, utterance.error
            whole_ms.append(1000 * (time.perf_counter() - began) / max(1, len(utterance.samples) / 960))
        gc.collect()
        modules = [*model.t3.front.modules(), *model.s3gen.modules()]
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)
        counts = f"{hooks} | {threading.active_count()} | {resident():.0f} | {len(gc.get_objects())}"
        times = f"{statistics.median(t3_ms):.1f} | {statistics.median(whole_ms):.0f}"
        sys.stdout.write(f"| {(block + 1) * size} | {counts} | {times} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
