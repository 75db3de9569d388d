"""What a new installation needs, checked one by one. Nothing is downloaded, no file is left behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from monica.config import Settings
from monica.engine import SynthesisParams, speak
from monica.engine.espeak import EspeakEngine
from monica.engine.selection import choose_engine
from monica.errors import ConfigError, MonicaError
from monica.voices.recording import read_reference


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. advice: what to do about it, where it is not `ok`."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Check an installation, the cheapest first."""
    yield _cache(settings)
    yield _espeak(settings)
    try:
        engine = choose_engine(settings)
    except ConfigError as error:
        yield Finding("engine", False, str(error), "Do one of the two, then look again.")
        return
    why = f"MONICA_ENGINE={settings.engine}"
    if settings.engine == "auto" and not engine.clones:
        why += "; no CUDA or MPS device was found or asked for: where there is an NVIDIA GPU, see nvidia-smi"
    yield Finding("engine", True, f"{engine.name} speaks here ({why})")
    if engine.clones:
        yield from _chatterbox(settings)


def _cache(settings: Settings) -> Finding:
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


def _espeak(settings: Settings) -> Finding:
    try:
        engine = EspeakEngine(settings)
        engine.load()
        samples = speak(engine, "Bonjour.", voice="", params=SynthesisParams(), seed=0)
    except (ConfigError, MonicaError, OSError) as error:
        return Finding("espeak", False, str(error), "Install again: make install")
    return Finding("espeak", True, f"{engine.model} says « Bonjour » in {len(samples) / engine.sample_rate:.2f} s")


def _chatterbox(settings: Settings) -> Iterator[Finding]:
    from monica.engine.chatterbox.checkpoint import find
    from monica.engine.chatterbox.watermark import Watermark
    from monica.engine.torch.device import choose_device, choose_precision, describe_device
    from monica.engine.torch.digest import SUMS, digest_files

    try:
        device = choose_device(settings.device)
        precision = choose_precision(settings.precision, device)
        yield Finding("device", True, f"{describe_device(device)}, in {precision}")
    except ConfigError as error:
        yield Finding("device", False, str(error), "See docs/exploitation.md, or set MONICA_DEVICE.")
    try:
        checkpoint = find(settings)
    except ConfigError as error:
        yield Finding("checkpoint", False, str(error), "Put the files there, or unset MONICA_MODEL_DIR.")
    else:
        if checkpoint is None:
            yield Finding("checkpoint", False, "not downloaded yet", "Run: monica prefetch")
        else:
            digest = digest_files(checkpoint.paths, settings.cache_dir / SUMS)
            yield Finding("checkpoint", True, f"all five files, T3 {settings.t3}, digest {digest[:12]}")
    if settings.reference_audio is None:
        yield Finding("reference audio", True, "none: the model's built-in voice speaks")
    else:
        try:
            reference = read_reference(settings.reference_audio, settings.reference_duration_s)
        except ConfigError as error:
            yield Finding("reference audio", False, str(error), "See REFERENCE_AUDIO in the README.")
        else:
            seconds = len(reference.samples) / reference.sample_rate
            yield Finding("reference audio", True, f"{settings.reference_audio}, {seconds:.1f} s are used")
    try:
        Watermark()
    except ConfigError as error:
        yield Finding("watermark", False, str(error), "Install again: make install EXTRA=chatterbox")
    else:
        yield Finding("watermark", True, "Perth is loaded")
