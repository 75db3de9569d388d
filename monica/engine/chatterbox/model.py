"""A loaded Chatterbox: text to marked sound, a recording to conditionals. It holds weights and no state of a take."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from monica.engine import Check, Reference, SynthesisParams
from monica.engine.chatterbox import conditionals, s3gen, t3, weights
from monica.engine.chatterbox.checkpoint import Checkpoint
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.tokenizer import TextTokenizer
from monica.engine.chatterbox.watermark import Watermark
from monica.errors import SynthesisFailed
from monica.metrics import stage_duration

SAMPLE_RATE = 24_000


class Model:
    """The modules of a checkpoint on a device. Raises ConfigError and ModelUnavailable."""

    def __init__(self, checkpoint: Checkpoint, *, device: str, language: str) -> None:
        # The quick ones first: what is wrong with them is then said at once.
        self.watermark = Watermark()
        self.tokenizer = TextTokenizer(checkpoint.tokenizer, language)
        self.builtin = conditionals.read_builtin(checkpoint.conditionals)
        self.device = torch.device(device)
        self.voice_encoder = weights.load_voice_encoder(checkpoint.voice_encoder).to(self.device)
        self.t3 = weights.load_t3(checkpoint.t3).to(self.device)
        self.s3gen = weights.load_s3gen(checkpoint.s3gen).to(self.device)
        self.decoder = s3gen.Decoder(self.s3gen)

    def encode(self, reference: Reference | None) -> Conditionals:
        """Make the conditionals of a recording, or of the checkpoint's own voice for None."""
        if reference is None:
            return self.builtin
        with stage_duration.labels("conditionals").time():
            return conditionals.encode(reference, self.voice_encoder, self.s3gen)

    def speak(
        self, text: str, voice: Conditionals, params: SynthesisParams, seed: int, check: Check
    ) -> NDArray[np.float32]:
        """Speak one sentence. Returns (960 N,) in [-1, 1], marked, N the speech tokens."""
        generator = torch.Generator(self.device).manual_seed(seed)
        text_tokens = self.tokenizer.tokenize(text).to(self.device)
        with stage_duration.labels("t3").time():
            tokens = t3.decode(self.t3, text_tokens, voice, params, generator, check)
        with stage_duration.labels("s3gen").time():
            samples = self.decoder.decode(tokens, voice, seed=seed, check=check).cpu().numpy()
        if not np.isfinite(samples).all():
            raise SynthesisFailed("S3Gen gave no numbers: the weights are damaged or overflow.")
        with stage_duration.labels("watermark").time():
            return self.watermark.apply(samples, SAMPLE_RATE)
