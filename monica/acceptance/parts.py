"""What is measured of any engine: how soon it is heard, and whether the last take is like the first."""

from __future__ import annotations

import resource
import statistics
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from monica.engine import Engine, SynthesisParams, Utterance
from monica.engine.acceptance import Plan, Result, Tick
from monica.synthesis.duration import PRIOR
from monica.synthesis.faults import describe_faults, find_faults

VOICE = "accept"
"""What the examination's voice is called in the engine."""


def measure_first_audio(engine: Engine, text: str, plan: Plan, tick: Tick) -> Result:
    """Measure how long a sentence takes to be heard: its first chunk as a stream, and all of it."""
    params = SynthesisParams(max_tokens=plan.max_tokens)
    first: list[float] = []
    whole: list[float] = []
    for number in range(2 * plan.repeats):
        stream = number < plan.repeats
        began = time.perf_counter()
        utterance = engine.begin(text, voice=VOICE, params=params, seed=number % plan.repeats, stream=stream)
        try:
            while not utterance.done and not (stream and utterance.chunks):
                engine.step()
            (first if stream else whole).append(time.perf_counter() - began)
        finally:
            engine.drop(utterance)
        tick((number + 1) / (2 * plan.repeats))
    return {
        "characters": len(text),
        "first sound of a stream, ms": round(1000 * statistics.median(first), 1),
        "whole sentence, ms": round(1000 * statistics.median(whole), 1),
    }


def measure_steadiness(
    engine: Engine, texts: list[str], plan: Plan, tick: Tick, used_memory: Callable[[], int | None]
) -> Result:
    """Make many takes side by side, and compare the last fifth of them with the first.

    Memory is read after the first fifth: until then, buffers grow to the longest take.
    """
    params = SynthesisParams(max_tokens=plan.max_tokens)
    waiting = deque(range(plan.takes))
    running: dict[int, tuple[Utterance, float]] = {}
    paces: list[float] = []
    problems: list[str] = []
    fifth = max(1, plan.takes // 5)
    memory: list[tuple[int, int | None]] = []
    while waiting or running:
        while waiting and len(running) < engine.slots:
            number = waiting.popleft()
            text = texts[number % len(texts)]
            running[number] = engine.begin(text, voice=VOICE, params=params, seed=number), time.perf_counter()
        engine.step()
        for number, (utterance, began) in list(running.items()):
            if not utterance.done:
                continue
            engine.drop(utterance)
            del running[number]
            problem = _problem(engine, utterance, texts[number % len(texts)])
            if problem is not None:
                problems.append(problem)
            if utterance.samples is not None and len(utterance.samples):
                paces.append((time.perf_counter() - began) * engine.sample_rate / len(utterance.samples))
            ended = plan.takes - len(waiting) - len(running)
            if ended in (fifth, plan.takes):
                memory.append((resident_bytes(), used_memory()))
            tick(ended / plan.takes)
    first, last = (statistics.median(part) if part else 0.0 for part in (paces[:fifth], paces[-fifth:]))
    (early, early_gpu), (late, late_gpu) = memory[0], memory[-1]
    found: Result = {
        "takes": plan.takes,
        "side by side": engine.slots,
        "seconds a second of sound, first fifth": round(first, 3),
        "seconds a second of sound, last fifth": round(last, 3),
        "memory, MiB, after a fifth and at the end": [early // 2**20, late // 2**20],
        "defects": {problem: problems.count(problem) for problem in sorted(set(problems))},
    }
    if early_gpu is not None and late_gpu is not None:
        found["GPU memory, MiB, after a fifth and at the end"] = [early_gpu // 2**20, late_gpu // 2**20]
    return found


def resident_bytes() -> int:
    """Return the bytes of this process in memory; the highest so far on systems that do not tell."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes


def _problem(engine: Engine, utterance: Utterance, text: str) -> str | None:
    """Return what is wrong with a take: as the service would find it."""
    if utterance.samples is None:
        return str(utterance.error or "made nothing")
    faults = find_faults(
        utterance.samples,
        engine.sample_rate,
        text,
        PRIOR.expect(text),
        complete=utterance.complete,
        tokens=utterance.tokens,
    )
    return describe_faults(faults) or None
