"""A loaded Chatterbox: text to tokens to marked sound, a recording to conditionals. It keeps no take but T3's."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from monica.engine import Reference, SynthesisParams
from monica.engine.chatterbox import conditionals, s3gen, selftest, weights
from monica.engine.chatterbox.checkpoint import Checkpoint
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.decoding import Decoding
from monica.engine.chatterbox.streaming import Stream, Streamer
from monica.engine.chatterbox.t3 import T3, affordable_slots
from monica.engine.chatterbox.tokenizer import TextTokenizer
from monica.engine.chatterbox.watermark import Watermark
from monica.engine.torch.device import GIB, free_memory
from monica.engine.torch.graphs import Graphs
from monica.errors import SynthesisFailed
from monica.metrics import stage_duration

CACHE_SHARE = 1 / 4
"""Of the memory that is left once the weights are there: for T3's key-value cache."""
GRAPHS_SHARE = 1 / 8
"""Of the same: for CUDA graphs."""

logger = logging.getLogger(__name__)


class Model:
    """The modules of a checkpoint on a device, in a precision. Raises ConfigError and ModelUnavailable."""

    def __init__(self, checkpoint: Checkpoint, *, device: str, precision: str, language: str) -> None:
        # The quick ones first: what is wrong with them is then said at once.
        self.device = torch.device(device)
        self.watermark = Watermark(self.device)
        self.tokenizer = TextTokenizer(checkpoint.tokenizer, language)
        self.builtin = conditionals.read_builtin(checkpoint.conditionals)
        self.voice_encoder = weights.load_voice_encoder(checkpoint.voice_encoder).to(self.device)
        self.s3gen = weights.load_s3gen(checkpoint.s3gen).to(self.device)
        front, layers = weights.load_t3(checkpoint.t3)
        front.to(self.device)

        free = free_memory(device)
        self.graphs = Graphs(self.device, int(free * GRAPHS_SHARE))
        slots = affordable_slots(front.cfg, len(layers), precision, int(free * CACHE_SHARE))
        self.t3 = T3(front, layers, precision=precision, graphs=self.graphs, slots=slots)
        self.decoder = s3gen.Decoder(self.s3gen, precision=precision, graphs=self.graphs)
        self.streamer = Streamer(self.decoder, self.watermark)
        began = time.monotonic()
        self.t3.warm_up()
        self.decoder.warm_up()
        logger.info("precision: %s, %d takes at once", precision, slots)
        if self.graphs.captured:
            logger.info(
                "CUDA graphs: %d captured in %.1f s, %.1f GiB of their budget left",
                self.graphs.captured, time.monotonic() - began, self.graphs.budget / GIB,
            )  # fmt: skip
        if precision != "fp32" or device != "cpu":  # what the reference itself would run as
            found = selftest.examine(self.t3, selftest.expect(front, layers))
            logger.info("self-test: T3 agrees with float32 to %.4f", found)

    def encode(self, reference: Reference | None) -> Conditionals:
        """Make the conditionals of a recording, or of the checkpoint's own voice for None."""
        if reference is None:
            return self.builtin
        with stage_duration.labels("conditionals").time():
            return conditionals.encode(reference, self.voice_encoder, self.s3gen)

    def admit(self, text: str, voice: Conditionals, params: SynthesisParams, seed: int) -> Decoding:
        """Read a text into a free slot of T3. Raises InvalidText."""
        text_tokens = self.tokenizer.tokenize(text).to(self.device)
        return self.t3.admit(text_tokens, voice, params, self._generator(seed))

    def sound(
        self, tokens: Sequence[int], voice: Conditionals, seed: int
    ) -> Generator[None, None, NDArray[np.float32]]:
        """Sound what T3 said, in stages: S3Gen's, then the watermark.

        tokens: N of them, N > 0. Returns (960 N,) in [-1, 1], marked. Raises SynthesisFailed.
        """
        began = time.perf_counter()
        ids = torch.tensor(tokens, device=self.device)
        samples = yield from self.decoder.sound(ids, voice, generator=self._generator(seed))
        if not bool(samples.isfinite().all()):
            raise SynthesisFailed("S3Gen gave no numbers: the weights are damaged or overflow.")
        stage_duration.labels("s3gen").observe(time.perf_counter() - began)
        yield
        with stage_duration.labels("watermark").time():
            return self.watermark.apply(samples).cpu().numpy()

    def stream(self, voice: Conditionals, seed: int) -> Stream:
        """Begin to sound a take while T3 says it."""
        return self.streamer.stream(voice, self._generator(seed))

    def _generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed)
