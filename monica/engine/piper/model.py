"""The model of a voice, run by onnxruntime: numbers of phonemes in, samples out."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monica.errors import ConfigError, SynthesisFailed

PROGRAM = Path(__file__).with_name("noise_inputs.py")
NOISE = 262_139
"""Numbers of noise for a piece; a prime number, so that the model's channels do not repeat together."""
MAX_THREADS = 4
"""More make a sentence hardly faster."""


class Model:
    """A model whose noise is an input, so that a seed decides it. Any thread may call it."""

    def __init__(self, path: Path) -> None:
        """path: what `seedable` returned. Raises ConfigError if it is not a model of Piper."""
        import onnxruntime  # here: the registry must not load it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(
            MAX_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        )
        options.inter_op_num_threads = 1
        # Threads that wait for work would compute in vain, in a process that has other things to do.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # These two halve what it keeps of memory between texts, and cost a twentieth of its speed.
        options.enable_mem_pattern = False
        self._run_options = onnxruntime.RunOptions()
        self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a dozen classes of them, with no common one
            raise ConfigError(f"{path} cannot be loaded: {_first_line(error)}") from error
        inputs = {each.name for each in self._session.get_inputs()}
        self.has_speakers = "sid" in inputs
        if inputs - {"sid"} != {"input", "input_lengths", "scales", "noise_0", "noise_1"}:
            raise ConfigError(f"{path} is not a model of Piper: its inputs are {', '.join(sorted(inputs))}.")

    def say(
        self, ids: Sequence[int], speaker: int, scales: tuple[float, float, float], noise: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return the samples of a piece: (N,). Raises SynthesisFailed."""
        inputs: dict[str, Any] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
            "noise_0": noise.standard_normal(NOISE, np.float32),
            "noise_1": noise.standard_normal(NOISE, np.float32),
        }
        if self.has_speakers:
            inputs["sid"] = np.array([speaker], np.int64)
        try:
            (samples,) = self._session.run(None, inputs, self._run_options)
        except Exception as error:
            raise SynthesisFailed(f"Piper failed on this text ({_first_line(error)}).") from error
        return np.clip(np.asarray(samples, np.float32).reshape(-1), -1, 1)


def seedable(model: Path, digest: str, folder: Path) -> Path:
    """Return the model with its noise as inputs. It is made once, and kept in a folder under its digest.

    Raises ConfigError if it is not a model of Piper, or cannot be written.
    """
    kept = folder / f"{digest[:32]}.onnx"
    if kept.is_file():
        return kept
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            made = Path(name) / kept.name
            command = [sys.executable, "-I", str(PROGRAM), str(model), str(made)]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace")  # noqa: S603  ours
            if done.returncode != 0 or not made.is_file():
                reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
                raise ConfigError(f"{model} is not a model of Piper: {reason[:200]}")
            made.replace(kept)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}. Set MONICA_CACHE_DIR.") from error
    return kept


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
