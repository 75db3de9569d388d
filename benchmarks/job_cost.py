"""The cost of a job: the time per phrase of the engine alone, of takes that clients request, and of a job, in turn.

Everything happens in this process, without HTTP. Part of benchmarks.warm.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.clients import SERIALS, phrase
from monica.config import Settings
from monica.engine import Engine, SynthesisParams, Utterance
from monica.service import Service
from monica.speech import SpeechRequest
from monica.synthesis.take import Lane
from monica.voices.recording import DEFAULT_VOICE
from monica.warming.job import Job, JobSource
from monica.warming.job_run import JobRun
from monica.warming.making import SPARE_WORKERS

_runs = itertools.count()


def fresh(count: int) -> list[str]:
    """Make phrases that no one has requested before."""
    run = next(_runs)
    return [phrase(run, number // SERIALS, number % SERIALS) for number in range(count)]


def synthesise(engine: Engine, voice: str, said: list[str]) -> None:
    """Have an engine say texts, as many at once as it can. Nothing else may use the engine meanwhile."""
    left = list(enumerate(said))
    under_way: list[Utterance] = []
    while left or under_way:
        if left and len(under_way) < engine.slots:
            seed, text = left.pop()
            under_way.append(engine.begin(text, voice=voice, params=SynthesisParams(), seed=seed))
        engine.step()
        for utterance in [each for each in under_way if each.done]:
            under_way.remove(utterance)
            engine.drop(utterance)


def announce(service: Service, texts: list[str]) -> None:
    """Request texts from as many threads as a job has."""
    with ThreadPoolExecutor(service.announcer.slots() + SPARE_WORKERS) as pool:
        requests = (SpeechRequest(text, lane=Lane.BACKGROUND, deadline_s=3600) for text in texts)
        for answer in [pool.submit(service.announcer.announce, request) for request in requests]:
            answer.result()


def run_job(service: Service, texts: list[str]) -> None:
    job = Job("0", JobSource("b", phrases=tuple(texts)), 0, 0.0)
    JobRun(job, service.announcer, service.catalogue, service.settings, lambda _: None).run()
    if job.made != len(texts):
        raise RuntimeError(f"{job}")


def compare(settings: dict[str, str], rounds: int, count: int) -> None:
    """Measure the three ways in turn and print them. settings: environment variables."""
    os.environ.update(settings)
    service = Service(Settings.from_env())
    service.start_and_wait()
    engine, voice = service._loader.ready_engine(), service._loader.voices[DEFAULT_VOICE]
    ways: dict[str, Callable[[list[str]], None]] = {
        "the engine alone": lambda texts: synthesise(
            engine, voice, [service.frontend.prepare(text).text for text in texts]
        ),
        "takes that are asked for": lambda texts: announce(service, texts),
        "a job": lambda texts: run_job(service, texts),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for way in ways.values():
        way(fresh(count // 10 + 1))  # once, unmeasured
    for _ in range(rounds):
        for name, way in ways.items():
            texts = fresh(count)
            began, cpu = time.perf_counter(), time.process_time()
            way(texts)
            found[name].append((time.perf_counter() - began, time.process_time() - cpu))
    service.close()
    alone, asked, job = found.values()
    _row("a phrase", "ms", "to the engine alone", "CPU ms", "to the engine alone")
    _row(*["---"] * 5)
    for name, pairs in found.items():
        cells = []
        for clock in (0, 1):
            each = statistics.median(pair[clock] for pair in pairs) / count
            cells += [f"{1000 * each:.2f}", f"{_ratio(pairs, alone, clock):.2f}"]
        _row(name, *cells)
    ratios = f"{_ratio(job, asked, 0):.2f}, CPU {_ratio(job, asked, 1):.2f}"
    sys.stdout.write(f"\nA job to its takes: {ratios}; 1.10 at most is the target.\n\n")


def _ratio(pairs: list[tuple[float, float]], others: list[tuple[float, float]], clock: int) -> float:
    return statistics.median(one[clock] / other[clock] for one, other in zip(pairs, others, strict=True))


def _row(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
