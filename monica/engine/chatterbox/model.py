"""A loaded Chatterbox: text to tokens to watermarked sound, a recording to conditionals. Only T3 holds any takes."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monica.engine import Reference, SynthesisParams
from monica.engine.chatterbox import conditionals, graph_selftest, pass_selftest, selftest, weights
from monica.engine.chatterbox.checkpoint import Checkpoint
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.estimator import Estimator
from monica.engine.chatterbox.s3gen import Token2Wav, kept_samples
from monica.engine.chatterbox.streaming import StreamingToken2Wav, StreamState
from monica.engine.chatterbox.t3 import T3, affordable_slots
from monica.engine.chatterbox.token_sequence import TokenSequence
from monica.engine.chatterbox.tokenizer import TextTokenizer
from monica.engine.chatterbox.watermark import Watermark
from monica.engine.torch.backends import configure_cuda
from monica.engine.torch.device import GIB, free_memory
from monica.engine.torch.graphs import Graphs
from monica.errors import SynthesisFailed
from monica.metrics import stage_duration

CACHE_SHARE = 1 / 4
"""The share of the memory left after loading the weights that T3's key-value cache may use."""
GRAPHS_SHARE = 1 / 8
"""The share of that memory that CUDA graphs may use."""

logger = logging.getLogger(__name__)


class Model:
    """The modules of a checkpoint on a device, in a precision. Raises ConfigError and ModelUnavailable."""

    def __init__(self, checkpoint: Checkpoint, *, device: str, precision: str, language: str) -> None:
        self.device = torch.device(device)
        self.precision = precision
        if device == "cuda":
            configure_cuda()
        # The quick parts come first, so that errors in them are reported at once.
        self.watermark = Watermark(self.device)
        self.tokenizer = TextTokenizer(checkpoint.tokenizer, language)
        self.builtin = conditionals.read_builtin_voice(checkpoint.conditionals)
        self.voice_encoder = weights.move(weights.load_voice_encoder(checkpoint.voice_encoder), self.device)
        self.s3gen = weights.move(weights.load_s3gen(checkpoint.s3gen), self.device)
        front, layers = weights.load_t3(checkpoint.t3)
        weights.move(front, self.device)

        # The layers go to the device only when T3 is made, after its cache: they are counted as if they were there.
        free = max(0, free_memory(device) - weights.bytes_in(layers, precision) * (device == "cuda"))
        self.graphs = Graphs(self.device, int(free * GRAPHS_SHARE))
        slots = affordable_slots(front.cfg, len(layers), precision, int(free * CACHE_SHARE))
        self.t3 = T3(front, layers, precision=precision, graphs=self.graphs, slots=slots)
        # Before Token2Wav takes over the weights.
        reference = Estimator(self.s3gen.flow.decoder.estimator) if self.graphs.available else None
        self.token2wav = Token2Wav(self.s3gen, precision=precision, graphs=self.graphs)
        self.streaming = StreamingToken2Wav(self.token2wav, self.watermark)
        began = time.monotonic()
        self.t3.warm_up()
        self.token2wav.warm_up()
        self.streaming.warm_up(self.graphs)
        logger.info("precision: %s, %d takes at once", precision, slots)
        if self.graphs.captured:
            logger.info(
                "CUDA graphs: %d captured in %.1f s, %.1f GiB of their budget left",
                self.graphs.captured, time.monotonic() - began, self.graphs.budget / GIB,
            )  # fmt: skip
        if precision != "fp32" or device != "cpu":  # that would be the reference itself
            self._test(front, layers, reference)

    def _test(self, front: Any, layers: Sequence[Mapping[str, Tensor]], reference: Estimator | None) -> None:
        """Run the self-test. reference: S3Gen's estimator in float32, if steps may have been captured."""
        began = time.monotonic()
        sequences = [selftest.teacher_forced_sequence(front)]
        if self.graphs.captured:
            tokens, sequence = graph_selftest.step_sequence(front, self.t3.llama.positions)
            sequences.append(sequence)
        expected, *outputs = selftest.float32_outputs(front, layers, sequences)
        agreement = selftest.check_agreement(self.t3, selftest.logits_of(front, expected))
        logger.info("self-test: T3 agrees with float32 to %.4f", agreement)
        if reference is not None and outputs:
            count = graph_selftest.check_step_graphs(self.t3, tokens, sequence, outputs[0])
            count += graph_selftest.check_euler_graphs(self.token2wav.solver, reference, self.precision)
            count += pass_selftest.check_functions(self.streaming.captured_functions())
            if self.streaming.hops is not None:
                count += pass_selftest.check_hops(self.streaming.hops, reference, self.precision)
            logger.info("self-test: all %d CUDA graphs agree with float32, %.1f s", count, time.monotonic() - began)

    def encode_voice(self, reference: Reference | None) -> Conditionals:
        """Make the conditionals of a recording. None: those of the checkpoint's own voice."""
        if reference is None:
            return self.builtin
        with stage_duration.labels("conditionals").time():
            return conditionals.encode_reference(reference, self.voice_encoder, self.s3gen)

    def add_sequence(self, text: str, voice: Conditionals, params: SynthesisParams, seed: int) -> TokenSequence:
        """Prefill a text into a free slot of T3. Raises InvalidText."""
        text_tokens = self.tokenizer.tokenize(text).to(self.device)
        return self.t3.add_sequence(text_tokens, voice, params, self._generator(seed))

    def synthesize(
        self, tokens: Sequence[int], voice: Conditionals, seed: int
    ) -> Generator[None, None, NDArray[np.float32]]:
        """Turn T3's tokens into watermarked sound, yielding between passes: S3Gen's, then the watermark.

        tokens: N of them, N > 0. Returns (`kept_samples(N)`,) in [-1, 1]. Raises SynthesisFailed.
        """
        began = time.perf_counter()
        ids = torch.tensor(tokens, device=self.device)
        samples = yield from self.token2wav.synthesize(ids, voice, generator=self._generator(seed))
        if not bool(samples.isfinite().all()):
            raise SynthesisFailed("S3Gen produced values that are not finite: the weights are damaged or overflow.")
        stage_duration.labels("s3gen").observe(time.perf_counter() - began)
        yield
        with stage_duration.labels("watermark").time():
            return self.watermark.apply(samples[: kept_samples(len(tokens))]).cpu().numpy()

    def start_stream(self, voice: Conditionals, seed: int) -> StreamState:
        """Start synthesizing a take hop by hop, while T3 generates it."""
        return self.streaming.start_stream(voice, self._generator(seed))

    def _generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed)
