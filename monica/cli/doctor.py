"""Checks everything an installation needs. Nothing is downloaded, and no file is left behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator

from monica.config import Settings
from monica.engine.registry import EMBEDDED, Finding, engine_spec
from monica.engine.selection import choose_engine
from monica.errors import ConfigError
from monica.listening.model import ListeningUnavailable, find_model, installed, model_name
from monica.voices.recording import read_reference
from monica.voices.window import choose_window


def examine(settings: Settings) -> Iterator[Finding]:
    """Check an installation, the cheapest checks first."""
    yield _examine_cache(settings)
    for name in EMBEDDED:
        if name in (settings.engine, settings.fallback) or engine_spec(name).why_not(settings) is None:
            yield from engine_spec(name).examine(settings)
    try:
        engine = choose_engine(settings)
    except ConfigError as error:
        yield Finding("engine", False, str(error), "Do one of the two, then look again.")
        return
    why = f"MONICA_ENGINE={settings.engine}"
    if settings.engine == "auto" and engine.name in EMBEDDED:
        why += "; no CUDA or MPS device was found or asked for: if there is an NVIDIA GPU, see nvidia-smi"
    yield Finding("engine", True, f"{engine.name} speaks here ({why})")
    if engine.name not in EMBEDDED:
        yield from engine_spec(engine.name).examine(settings)
    if engine.clones:
        yield _examine_reference(settings)
    if installed() or settings.listen_model is not None:
        yield _examine_listener(settings)


def _examine_cache(settings: Settings) -> Finding:
    folder = settings.cache_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        advice = "Set MONICA_CACHE_DIR to a folder that can be written."
        return Finding("cache", False, f"{folder} cannot be written: {error.strerror}", advice)
    detail = f"{folder} can be written, {free / 2**30:.1f} GiB free"
    if free < settings.cache_mb * 2**20:
        advice = f"Free some space, or set MONICA_CACHE_MB below {free // 2**20}."
        return Finding("cache", False, f"{detail}, less than MONICA_CACHE_MB={settings.cache_mb}", advice)
    return Finding("cache", True, detail)


def _examine_listener(settings: Settings) -> Finding:
    """Check what phrases are listened to with. Without the extra `listen` and without a setting, none are."""
    try:
        folder = find_model(settings)
    except ListeningUnavailable as error:
        # Nothing that speaks needs it: it is an error only for who has chosen a model.
        return Finding("listening", settings.listen_model is None, f"off: {error.message}", "See docs/listening.md.")
    return Finding("listening", True, f"the phrases of books are listened to with {model_name(settings)} ({folder})")


def _examine_reference(settings: Settings) -> Finding:
    """Check the recording whose voice is cloned. Every engine that clones voices needs it."""
    if settings.reference_audio is None:
        return Finding("reference audio", True, "none: the model's built-in voice speaks")
    try:
        reference = read_reference(settings.reference_audio, settings.reference_duration_s, settings.reference_start_s)
    except ConfigError as error:
        return Finding("reference audio", False, str(error), "See REFERENCE_AUDIO in the README.")
    seconds = len(reference.samples) / reference.sample_rate
    prompt = choose_window(reference.samples, reference.sample_rate, settings.reference_start_s)
    detail = f"{settings.reference_audio}, {seconds:.1f} s are used; its prompt is {prompt.describe()}"
    return Finding("reference audio", True, detail)
