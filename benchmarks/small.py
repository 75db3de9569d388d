"""A Chatterbox small enough to be put under load on a CPU: random weights, few layers, takes of a second."""

from __future__ import annotations

import warnings
from argparse import ArgumentParser, Namespace
from pathlib import Path


def add_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the small Chatterbox")
    group.add_argument("--t3-layers", type=int, default=16)
    group.add_argument("--prompt-s", type=float, default=0.04, help="seconds of the voice's prompt in S3Gen")
    group.add_argument("--tokens", type=int, default=30, help="approximate speech tokens of a take; 25 a second")
    group.add_argument("--precision", choices=["fp32", "int8", "bf16"], default="bf16")


def settings(folder: Path, options: Namespace) -> dict[str, str]:
    """Write the checkpoint. Returns Monica's settings for it."""
    directory = folder / "checkpoint"
    with warnings.catch_warnings(action="ignore"):  # upstream's dependencies emit some
        from benchmarks.synthetic_checkpoint import write_checkpoint

        write_checkpoint(directory, t3_layers=options.t3_layers, prompt_s=options.prompt_s, tokens=options.tokens)
    return {
        "MONICA_ENGINE": "chatterbox",
        "MONICA_DEVICE": "cpu",
        "MONICA_MODEL_DIR": str(directory),
        "MONICA_PRECISION": options.precision,
        "REFERENCE_AUDIO": "",
        "HF_HUB_OFFLINE": "1",
    }


def describe(options: Namespace) -> str:
    return (
        f"Chatterbox, {options.t3_layers} T3 layers, {options.precision}, a prompt of {options.prompt_s:g} s, "
        f"takes of about {options.tokens} tokens"
    )
