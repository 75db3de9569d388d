"""Chatterbox as an Engine: voices by name, the checkpoint by the settings. Imports no torch before `load`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from monica.config import Settings
from monica.engine import MAX_LOADED_VOICES, Reference, SynthesisParams, Utterance
from monica.engine.chatterbox import checkpoint
from monica.engine.chatterbox.language import check_language
from monica.engine.chatterbox.pace import WarmUpPace, log_pace
from monica.engine.torch.digest import SUMS, digest_files
from monica.engine.torch.lost import report_lost_device
from monica.errors import ConfigError, UnknownVoice

if TYPE_CHECKING:
    from monica.engine.chatterbox.conditionals import Conditionals
    from monica.engine.chatterbox.model import Model
    from monica.engine.chatterbox.utterances import Utterances

# Warnings of upstream's dependencies about upstream's own code: nothing an operator can act on.
UPSTREAM_WARNINGS = (
    (UserWarning, "pkg_resources is deprecated"),
    (FutureWarning, "`LoRACompatibleLinear` is deprecated"),
    (FutureWarning, r"`?torch\.backends\.cuda\.sdp_kernel\(\)`? is deprecated"),
)

RENDERING = 2
"""How tokens become sound. Raise it whenever the same tokens sound different: kept takes are then made again."""

logger = logging.getLogger(__name__)


class ChatterboxEngine:
    """Chatterbox-Multilingual by Resemble AI, in this process. Source: github.com/resemble-ai/chatterbox.

    For one thread, from `load` on. Every method raises DeviceLost after an error that this process cannot recover from.
    """

    name = "chatterbox"
    clones = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._utterances: Utterances | None = None
        self._digest = ""
        self._precision = ""
        self._voices: dict[str, Conditionals] = {}  # least recently used first
        self._pace = WarmUpPace()
        self.bring_voice: Callable[[str], None] = _refuse
        self.device = settings.device
        """The setting until `load` has run, which may be `auto`: the master process must not touch CUDA."""

    @property
    def model(self) -> str:
        s3gen = "" if self._settings.s3gen == "standard" else f" s3gen {self._settings.s3gen}"
        return f"chatterbox-multilingual t3 {self._settings.t3}{s3gen} {self._precision} {self._digest[:12]}".rstrip()

    @property
    def sample_rate(self) -> int:
        return 24_000

    @property
    def slots(self) -> int:
        return self._loaded().model.t3.slots.count

    @property
    def fingerprint(self) -> str:
        self._loaded()
        parts = (f"t3-{self._settings.t3}", f"s3gen-{self._settings.s3gen}", self._precision, self._settings.language)
        return f"chatterbox {self._digest} {' '.join(parts)} rendering-{RENDERING}"

    @property
    def loaded_model(self) -> Model:
        """The model itself, for measurements. There is one once `load` has returned."""
        return self._loaded().model

    @report_lost_device()
    def load(self) -> None:
        """Find the checkpoint and load it onto the device.

        Raises ConfigError if a setting must be changed, ModelUnavailable if trying again may help.
        """
        check_language(self._settings.language)
        for category, message in UPSTREAM_WARNINGS:
            warnings.filterwarnings("ignore", message, category)
        try:
            self._load()
        except ImportError as error:
            raise ConfigError(
                f"Chatterbox is not installed ({error}): `make install EXTRA=chatterbox`, or MONICA_ENGINE=espeak."
            ) from error

    @report_lost_device()
    def make_conditionals(self, reference: Reference | None) -> bytes:
        """Encode a voice as safetensors bytes, which can be stored. None: the checkpoint's built-in voice.

        Raises ConfigError if no voice can be cloned from the recording.
        """
        return self._loaded().model.encode_voice(reference).to_bytes()

    @report_lost_device()
    def add_voice(self, name: str, conditionals: bytes) -> None:
        """Make the voice `name` usable. Beyond MAX_LOADED_VOICES voices, the least recently used one is forgotten.

        Raises ValueError if the bytes are not conditionals of this engine.
        """
        from monica.engine.chatterbox.conditionals import Conditionals

        voice = Conditionals.from_bytes(conditionals).to(self._loaded().model.device)
        self._voices.pop(name, None)
        self._voices[name] = voice
        while len(self._voices) > MAX_LOADED_VOICES:
            del self._voices[next(iter(self._voices))]

    @report_lost_device()
    def begin(self, text: str, *, voice: str, params: SynthesisParams, seed: int, stream: bool = False) -> Utterance:
        """Start on a text. Its samples will be watermarked. There must be a free slot.

        Raises UnknownVoice, InvalidText if there is nothing to say or too much, SynthesisFailed.
        """
        if voice not in self._voices:
            self.bring_voice(voice)
        conditionals = self._voices[voice] = self._voices.pop(voice)
        return self._loaded().begin(text, conditionals, params, seed, stream=stream)

    @report_lost_device()
    def step(self) -> None:
        """Advance all utterances that are not paused: those in T3 by a token, those in S3Gen one after the other."""
        self._loaded().step()
        if not self._pace.done:
            self._measure_pace()

    @report_lost_device()
    def pause(self, utterance: Utterance) -> None:
        self._loaded().pause(utterance)

    @report_lost_device()
    def resume(self, utterance: Utterance) -> None:
        self._loaded().resume(utterance)

    @report_lost_device()
    def drop(self, utterance: Utterance) -> None:
        self._loaded().drop(utterance)

    def _load(self) -> None:
        # The checks that cost least come first.
        from monica.engine.torch.device import choose_device, choose_precision, describe_device

        self.device = choose_device(self._settings.device)
        logger.info("device: %s", describe_device(self.device))
        self._precision = choose_precision(self._settings.precision, self.device)
        files = checkpoint.locate(self._settings)
        # The digest is computed in parallel with the imports and the loading, which use one core.
        with ThreadPoolExecutor(1, thread_name_prefix="digest") as pool:
            summing = pool.submit(digest_files, files.paths, self._settings.cache_dir / SUMS)
            from monica.engine.chatterbox.model import Model
            from monica.engine.chatterbox.utterances import Utterances

            model = Model(files, device=self.device, precision=self._precision, language=self._settings.language)
            self._digest = summing.result()
        named = [files.t3.stem, files.s3gen.stem] if self._settings.s3gen == "meanflow" else [files.t3.stem]
        logger.info("checkpoint: %s, digest %s", ", ".join(named), self._digest[:12])
        self._utterances = Utterances(model)

    def _measure_pace(self) -> None:
        from monica.engine.torch.device import device_name

        tokens_per_s = self._pace.note_step(self._loaded().model.t3.running)
        if tokens_per_s is not None:
            log_pace(tokens_per_s, device_name(self.device), self._precision)

    def _loaded(self) -> Utterances:
        if self._utterances is None:
            raise RuntimeError("ChatterboxEngine.load has not run")
        return self._utterances


def _refuse(name: str) -> None:
    raise UnknownVoice(f"There is no voice called {name!r}.", param="voice")
