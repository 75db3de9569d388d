"""What `monica accept` examines of Chatterbox: the device, the pace of T3, S3Gen, and what to listen to."""

from __future__ import annotations

import dataclasses
import platform
from typing import TYPE_CHECKING, Any, cast

import torch

from monica.config import Settings
from monica.engine import Engine, SynthesisParams
from monica.engine.acceptance import Acceptance, Plan, Result, Tick, Variant
from monica.engine.chatterbox import checkpoint
from monica.engine.chatterbox.engine import ChatterboxEngine
from monica.engine.chatterbox.pace import expected_pace
from monica.engine.torch.device import choose_device, device_name
from monica.engine.torch.gpu_state import describe, elapsed, gpu_state, memory_speed
from monica.engine.torch.linear import PRECISIONS
from monica.errors import ConfigError

if TYPE_CHECKING:
    from monica.engine.chatterbox.model import Model

TEXT = "Mesdames et messieurs, la finale commence dans quelques minutes, merci de rejoindre vos places sans attendre."
"""Long enough for a take to go on for all the steps that are measured."""
MATRICES = 16
"""Weights of a layer over the square of its width: 3 for queries, keys and values, 1 after attention, 12 in the MLP."""
WARM_UP_STEPS = 4
CFG_WEIGHTS = (0.3, 0.5, 0.7)


def require(settings: Settings) -> None:
    """Raise ConfigError if the checkpoint that the settings name is not on this machine."""
    if checkpoint.find(settings) is None:
        raise ConfigError("The weights are not on this machine. Run: monica prefetch")


def describe_device(settings: Settings, plan: Plan) -> Result:
    """Describe the device, and measure its memory: what a step of T3 could reach at best."""
    device = choose_device(settings.device)
    found: Result = describe(device)
    found["Python"] = platform.python_version()
    found["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    found["memory, GB/s"] = round(memory_speed(device, plan.copy_mib) / 1e9, 1)
    return found


def measure_pace(engine: Engine, plan: Plan, tick: Tick) -> Result:
    """Measure tokens a second of 1 to 8 takes, and how much of the memory's speed that is.

    A step has to read every weight once, and the cache of every take. What it reads beyond that is waste, so the share
    is that of an ideal step.
    """
    model = _model(engine)
    device = model.device.type
    speed = memory_speed(device, plan.copy_mib)
    counts = [count for count in (1, 2, 3, 4, 6, 8) if count <= model.t3.slots.count]
    rows: list[Result] = []
    for number, count in enumerate(counts):
        tokens, seconds, positions = _generate(model, count, plan.pace_steps)
        steps = tokens / count
        ideal = steps * (_weight_bytes(model) + count * positions * _position_bytes(model))
        rows.append({
            "takes": count,
            "tokens a second": round(tokens / seconds, 1),
            "ms a step": round(1000 * seconds / steps, 2),
            "share of the memory's speed": round(ideal / seconds / speed, 3),
        })  # fmt: skip
        tick((number + 1) / len(counts))
    expected = expected_pace(device_name(device), model.t3.precision)
    return {
        "precision": model.t3.precision,
        "memory, GB/s": round(speed / 1e9, 1),
        "rows": rows,
        "expected of one take": expected or "nothing is known of this device",
        "under load": gpu_state(device),
    }


def measure_s3gen(engine: Engine, plan: Plan, tick: Tick) -> Result:
    """Measure how long tokens take to become sound: S3Gen, vocoder and watermark, of one take alone."""
    model = _model(engine)
    device = model.device.type
    generator = torch.Generator().manual_seed(0)
    rows: list[Result] = []
    for number, length in enumerate(plan.sound_tokens):
        tokens = torch.randint(0, 6561, (length,), generator=generator).tolist()
        voice = model.builtin.to(model.device)
        first, again = (elapsed(device, lambda: _exhaust(model.synthesize(tokens, voice, 0))) for _ in range(2))  # noqa: B023
        rows.append({
            "seconds of sound": round(length / 25, 2),
            "first time, ms": round(1000 * first, 1),
            "again, ms": round(1000 * again, 1),
            "real-time factor": round(again / (length / 25), 3),
        })  # fmt: skip
        tick((number + 1) / len(plan.sound_tokens))
    return {"rows": rows}


def used_memory() -> int | None:
    """Return the bytes of GPU memory that PyTorch holds; None off CUDA."""
    return torch.cuda.memory_reserved() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]


def release_memory() -> None:
    """Give what PyTorch keeps for later back to the GPU: the next engine's share is taken of what is free."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def variants(settings: Settings) -> list[Variant]:
    """Return what the ear test compares: the settings as they are, and one thing changed at a time.

    All combinations would be twelve, more than anyone can tell apart in an evening.
    """
    usual = SynthesisParams()
    others = [dataclasses.replace(usual, cfg_weight=weight) for weight in CFG_WEIGHTS if weight != usual.cfg_weight]
    found = [_variant(settings, usual), *(_variant(settings, params) for params in others)]
    for changed in _alternatives(settings):
        try:
            there = checkpoint.find(changed) is not None
        except ConfigError:  # MONICA_MODEL_DIR lacks a file of it
            there = False
        if there:
            found.append(_variant(changed, usual))
    return found


def _alternatives(settings: Settings) -> list[Settings]:
    """Return the settings with another T3, and with another decoder."""
    return [
        dataclasses.replace(settings, t3="v2" if settings.t3 == "v3" else "v3"),
        dataclasses.replace(settings, s3gen="meanflow" if settings.s3gen == "standard" else "standard"),
    ]


def _variant(settings: Settings, params: SynthesisParams) -> Variant:
    return Variant(f"T3 {settings.t3}, cfg {params.cfg_weight:g}, S3Gen {settings.s3gen}", settings, params)


def _model(engine: Engine) -> Model:
    return cast(ChatterboxEngine, engine).loaded_model


@torch.inference_mode()
def _generate(model: Model, takes: int, steps: int) -> tuple[int, float, float]:
    """Generate with several takes at once. Returns tokens, seconds, and the mean length of a take's cache."""
    voice = model.builtin.to(model.device)
    params = SynthesisParams(max_tokens=steps + 2 * WARM_UP_STEPS)
    sequences = [model.add_sequence(TEXT, voice, params, seed) for seed in range(takes)]
    try:
        for _ in range(WARM_UP_STEPS):
            model.t3.step()
        before = sum(len(sequence.tokens) for sequence in sequences)
        made = 0

        def work() -> None:
            nonlocal made
            while made < steps and not any(sequence.done for sequence in sequences):
                model.t3.step()
                made += 1

        seconds = elapsed(model.device.type, work)
        tokens = sum(len(sequence.tokens) for sequence in sequences) - before
        return max(1, tokens), seconds, sum(sequence.position for sequence in sequences) / takes
    finally:
        for sequence in sequences:
            model.t3.free_sequence(sequence)


def _weight_bytes(model: Model) -> int:
    """Return the bytes of weights that a step reads: the layers', and the head's in float32."""
    config, head = model.t3.front.cfg, model.t3.front.speech_head.weight
    each = 1 if model.t3.precision == "int8" else PRECISIONS[model.t3.precision].itemsize
    layers = len(model.t3.llama.layers)
    return int(layers * MATRICES * config.hidden_size**2 * each + head.numel() * head.element_size())


def _position_bytes(model: Model) -> int:
    """Return the bytes of the cache for one position of a take: keys and values of two rows, in every layer."""
    config = model.t3.front.cfg
    return int(4 * len(model.t3.llama.layers) * config.hidden_size * PRECISIONS[model.t3.precision].itemsize)


def _exhaust(work: Any) -> None:
    for _ in work:
        pass


ACCEPTANCE = Acceptance(
    require=require,
    describe_device=describe_device,
    measures={"pace": measure_pace, "s3gen": measure_s3gen},
    used_memory=used_memory,
    release=release_memory,
    variants=variants,
    log=("device:", "precision:", "CUDA graphs:", "self-test:", "checkpoint: T3", "checkpoint: t3"),
)
