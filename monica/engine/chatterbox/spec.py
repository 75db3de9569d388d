"""What the registry knows of Chatterbox. Imports no torch; what it needs of torch is imported when it is asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import fields

from monica.config import Settings
from monica.engine import SynthesisParams
from monica.engine.acceptance import Acceptance
from monica.engine.chatterbox.engine import ChatterboxEngine
from monica.engine.registry import EngineSpec, Finding
from monica.errors import ConfigError


def installed() -> bool:
    return importlib.util.find_spec("chatterbox") is not None and importlib.util.find_spec("torch") is not None


def make_engine(settings: Settings) -> ChatterboxEngine:
    return ChatterboxEngine(settings)


def examine(settings: Settings) -> Iterator[Finding]:
    """Check the device, the checkpoint and the watermark."""
    yield _examine_device(settings)
    yield _examine_checkpoint(settings)
    yield _examine_watermark()


def _examine_device(settings: Settings) -> Finding:
    from monica.engine.torch.device import choose_device, choose_precision, describe_device

    try:
        device = choose_device(settings.device)
        precision = choose_precision(settings.precision, device)
        return Finding("device", True, f"{describe_device(device)}, in {precision}")
    except ConfigError as error:
        return Finding("device", False, str(error), "See docs/exploitation.md, or set MONICA_DEVICE.")


def _examine_checkpoint(settings: Settings) -> Finding:
    from monica.engine.chatterbox.checkpoint import find
    from monica.engine.torch.digest import SUMS, digest_files

    try:
        checkpoint = find(settings)
    except ConfigError as error:
        return Finding("checkpoint", False, str(error), "Put the files there, or unset MONICA_MODEL_DIR.")
    if checkpoint is None:
        return Finding("checkpoint", False, "not downloaded yet", "Run: monica prefetch")
    digest = digest_files(checkpoint.paths, settings.cache_dir / SUMS)
    which = f"T3 {settings.t3}, S3Gen {settings.s3gen}"
    return Finding("checkpoint", True, f"all five files, {which}, digest {digest[:12]}")


def _examine_watermark() -> Finding:
    from monica.engine.chatterbox.watermark import Watermark

    try:
        Watermark()
    except ConfigError as error:
        return Finding("watermark", False, str(error), f"Install again: {SPEC.install_command}")
    return Finding("watermark", True, "Perth is loaded")


def prefetch(settings: Settings) -> str:
    """Download the checkpoint. Returns where it is.

    Raises ConfigError if nothing is to be downloaded or a setting is wrong, ModelUnavailable if the download fails.
    """
    if settings.model_dir is not None:
        raise ConfigError("MONICA_MODEL_DIR is set: the checkpoint is there and nothing is downloaded.")
    SPEC.require_installed("prefetch")
    from monica.engine.chatterbox.checkpoint import download

    files = download(settings)
    folders = dict.fromkeys(path.parent for path in files.paths)  # Turbo's decoder comes from another repository
    return f"The checkpoint is in {' and '.join(map(str, folders))}"


def acceptance() -> Acceptance:
    from monica.engine.chatterbox.acceptance import ACCEPTANCE

    return ACCEPTANCE


WORK_PER_SOUND = {"cuda": 0.2, "mps": 1.5, "cpu": 6.0}
"""On a CPU as measured, with random weights. On a GPU a guess: nothing was measured there."""

SPEC = EngineSpec(
    name="chatterbox",
    title="Chatterbox",
    make=make_engine,
    examine=examine,
    work_per_sound=WORK_PER_SOUND,
    prefetch=prefetch,
    acceptance=acceptance,
    accelerators=frozenset({"cuda", "mps"}),
    parameters=frozenset(field.name for field in fields(SynthesisParams)),
    settings=frozenset({"MONICA_PRECISION", "MONICA_MODEL_DIR", "MONICA_MODEL_REVISION", "MONICA_T3", "MONICA_S3GEN"}),
    installed=installed,
    install_command="make install EXTRA=chatterbox",
)
