"""A take that is heard while T3 still generates it: its tokens reach S3Gen in hops, and finished samples leave at once.

The estimator attends to the prompt and to the take so far through a cache (streaming_cache.py), as upstream's does
under a chunk mask: S3Gen descends from CosyVoice 2 (arxiv.org/abs/2412.10117, section 2.3), whose estimator was trained
with such masks so that it can stream. The prompt, which is the same for every take of a voice, is computed once.
Vocoder and watermark have a limited reach: with that much context on either side, they make of a part what they would
have made of it in the whole, so there are no seams to hide.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monica.engine.chatterbox.captured_hops import HOPS, CapturedHops, FlatPrompt, HopState
from monica.engine.chatterbox.captured_sounds import CapturedSounds, SoundState
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.estimator import MEL
from monica.engine.chatterbox.euler import SolverCache
from monica.engine.chatterbox.harmonic_source import FRAME
from monica.engine.chatterbox.hift import PITCH_REACH, VOCODER_REACH
from monica.engine.chatterbox.s3gen import Token2Wav, kept_samples
from monica.engine.chatterbox.watermark import WATERMARK_REACH, Watermark
from monica.engine.torch.captured import CapturedFunction
from monica.engine.torch.graphs import Graphs
from monica.errors import SynthesisFailed
from monica.metrics import stage_duration

FIRST_HOP, MAX_HOP = 32, 100
"""Sizes of hops in tokens, 25 a second: 32, then 32, 64, 100 and so on. The first makes 0.5 s of sound, enough to tell
its loudness."""
LOOK_AHEAD = 3
"""Number of tokens that the encoder sees beyond the one it encodes."""
MAX_PROMPTS = 2
"""How many voices' prompts stay cached. One takes 4.6 MB a frame in float32: 2.3 GB for ten seconds."""
PROMPT_SEED = 0

logger = logging.getLogger(__name__)


@dataclass(eq=False, frozen=True, slots=True)
class PromptCache:
    """The prompt of a voice, as the estimator has computed it for all takes of the voice."""

    voice: Conditionals
    ids: list[int]
    """Its speech tokens, on the host: a hop encodes them with its own."""
    speaker: Tensor  # (1, 80)
    solver: SolverCache | FlatPrompt
    """A FlatPrompt if the voice's hops are captured."""


class StreamingToken2Wav:
    """S3Gen and the watermark, hop by hop, and the prompts they share between streams. For one thread."""

    def __init__(self, token2wav: Token2Wav, watermark: Watermark) -> None:
        self.token2wav = token2wav
        self.watermark = watermark
        self.hops: CapturedHops | None = None
        """The captured hops; without them, hops run kernel by kernel."""
        self.sounds: CapturedSounds | None = None
        """What captured hops sound like; without them, a stage at a time."""
        self._prompts: deque[PromptCache] = deque(maxlen=MAX_PROMPTS)

    def warm_up(self, graphs: Graphs) -> None:
        """Capture hops, if graphs are available and there is memory for them and for the cache they need."""
        if not graphs.available:
            return
        try:
            self.hops = CapturedHops(self.token2wav.solver, graphs)
        except MemoryError as error:
            logger.warning("streams: no memory for captured hops (%s), kernels are launched one by one", error)
            return
        sounds = CapturedSounds(self.token2wav, self.watermark, graphs)
        self.sounds = sounds if sounds.complete else None

    def captured_functions(self) -> Iterator[CapturedFunction]:
        """Yield what is captured of S3Gen beside the Euler steps, alone or in hops."""
        yield from self.token2wav.captured_functions()
        if self.sounds is not None:
            yield from self.sounds.captured.values()

    def start_stream(self, voice: Conditionals, generator: torch.Generator) -> StreamState:
        """Start a take."""
        return StreamState(self, voice, generator)

    def compute_prompt(self, voice: Conditionals) -> Generator[None, None, PromptCache]:
        """Run the estimator over a voice's prompt, yielding between passes, unless it is cached."""
        for prompt in self._prompts:
            if prompt.voice is voice:
                return prompt
        token2wav, mel = self.token2wav, voice.s3gen_mel
        mu = token2wav.encoder(voice.s3gen_tokens)[:, : mel.size(1)]  # (1, T, 80)
        speaker, cache = token2wav.project_x_vector(voice), token2wav.solver.start_cache()
        noise = _draw_noise(mu, torch.Generator(mu.device).manual_seed(PROMPT_SEED))
        mel = mel[:, : mu.size(1)].to(mu)
        yield from token2wav.solver.solve_chunk(noise, mu, speaker, mel, cache)
        captured = self.hops is not None and self.hops.fits(mu.size(1))
        ids: list[int] = voice.s3gen_tokens[0].cpu().numpy().tolist()
        solver = self.hops.flatten(cache, speaker) if self.hops and captured else cache
        prompt = PromptCache(voice, ids, speaker, solver)
        self._prompts.append(prompt)
        return prompt


class StreamState:
    """How far a streamed take has got in S3Gen and the watermark."""

    def __init__(self, shared: StreamingToken2Wav, voice: Conditionals, generator: torch.Generator) -> None:
        self._token2wav = shared.token2wav
        self._shared = shared
        self._voice = voice
        self._generator = generator
        self._solver_cache: SolverCache | HopState | None = None
        self._hop = FIRST_HOP
        self.next_hop_at = FIRST_HOP
        """The number of tokens at which the next hop can start."""
        self.started = False
        """Whether the first hop has been requested."""
        self.finished = False
        """Whether the last hop has been requested."""
        self._mel = torch.empty(0)  # (1, 80, T)
        self._source = torch.empty(0)  # (1, 480 T)
        self._samples = torch.empty(0)  # (N,), not watermarked yet
        self._phase = self._token2wav.hift.draw_phase(generator)
        self._sound = SoundState(shared.sounds, self._phase) if shared.sounds is not None else None
        tiles = self._token2wav.hift.tiles
        self._predict_f0 = SlidingWindow(PITCH_REACH, self._f0_of, tiles)
        self._vocode = SlidingWindow(VOCODER_REACH * FRAME, self._vocoded, [tile * FRAME for tile in tiles])
        self._mark = SlidingWindow(WATERMARK_REACH * FRAME, self._marked)

    def synthesize_hop(self, tokens: Sequence[int], *, last: bool) -> Generator[None, None, NDArray[np.float32]]:
        """Synthesize as much of a take as no later token can change, yielding between passes.

        tokens: all of the take so far. last: whether the take ends with them; then everything is synthesized.
        Returns the (N,) samples that follow those of the hops before, watermarked, in [-1, 1]. Raises SynthesisFailed.
        """
        self.started, self.finished = True, last
        self.next_hop_at = len(tokens) + self._hop
        self._hop = min(2 * self._hop, MAX_HOP)
        return self._run_hop(tokens, last)

    @torch.inference_mode()
    def _run_hop(self, tokens: Sequence[int], last: bool) -> Generator[None, None, NDArray[np.float32]]:
        began = time.perf_counter()
        yield from self._predict_mel(tokens, last)
        yield
        if self._sound is not None:
            sound = self._sound.advance(self._mel, last, self._generator)
            stage_duration.labels("s3gen").observe(time.perf_counter() - began)
            return sound
        f0 = self._predict_f0(self._mel.size(-1), last)
        source = self._token2wav.hift.make_source(f0, self._phase, self._generator)
        self._source = torch.cat([self._source, source], dim=1) if self._source.numel() else source
        samples = self._vocode(self._source.size(1), last)
        if not bool(samples.isfinite().all()):
            raise SynthesisFailed("S3Gen produced values that are not finite: the weights are damaged or overflow.")
        fade = self._token2wav.fade[self._samples.numel() :][: samples.numel()]
        samples[: fade.numel()] *= fade
        self._samples = torch.cat([self._samples.to(samples), samples])
        if last:  # of the samples cut here, the hops before have sent none: they stop well before the last token
            self._samples = self._samples[: kept_samples(len(tokens))]
        stage_duration.labels("s3gen").observe(time.perf_counter() - began)
        yield
        with stage_duration.labels("watermark").time():
            marked: NDArray[np.float32] = self._mark(self._samples.numel(), last).cpu().numpy()
        return marked

    def _predict_mel(self, tokens: Sequence[int], last: bool) -> Generator[None, None, None]:
        """Compute the frames that no later token can change and that are not there yet."""
        token2wav, prompt_frames = self._token2wav, self._voice.s3gen_mel.size(1)
        prompt = yield from self._shared.compute_prompt(self._voice)
        mu = token2wav.encoder.encode_ids([*prompt.ids, *tokens])  # (1, T, 80)
        done = self._mel.size(-1) if self._mel.numel() else 0
        certain = mu.size(1) if last else mu.size(1) - 2 * LOOK_AHEAD
        # If T3 was faster than S3Gen, a hop is longer than what is captured. Off CUDA it is cut, too: what a stream
        # sounds like must not depend on that.
        for start in range(prompt_frames + done, certain, HOPS[-1]):
            part = mu[:, start : min(start + HOPS[-1], certain)]
            mel = (yield from self._solve(part, prompt)).transpose(1, 2)
            self._mel = torch.cat([self._mel, mel], dim=-1) if self._mel.numel() else mel

    def _solve(self, mu: Tensor, prompt: PromptCache) -> Generator[None, None, Tensor]:
        """Solve the next frames. mu: (1, T, 80). Returns (1, T, 80)."""
        noise, solver = _draw_noise(mu, self._generator), self._token2wav.solver
        if isinstance(prompt.solver, SolverCache):
            if not isinstance(self._solver_cache, SolverCache):
                self._solver_cache = solver.start_cache(prompt.solver)
            no_prompt = torch.zeros_like(mu)
            return (yield from solver.solve_chunk(noise, mu, prompt.speaker, no_prompt, self._solver_cache))
        if not isinstance(self._solver_cache, HopState):
            self._solver_cache = prompt.solver.hops.start(prompt.solver)
        yield
        return prompt.solver.hops.solve(noise, mu, self._solver_cache)

    def _f0_of(self, part: slice) -> Tensor:
        return self._token2wav.hift.predict_f0(self._mel[..., part])

    def _vocoded(self, part: slice) -> Tensor:
        frames = slice(part.start // FRAME, part.stop // FRAME)
        return self._token2wav.hift.vocode(self._mel[..., frames], self._source[:, part])[0]

    def _marked(self, part: slice) -> Tensor:
        return self._shared.watermark.apply(self._samples[part])


class SlidingWindow:
    """Runs a function that depends on `reach` elements to either side over a sequence that grows.

    function: takes a part of the sequence, and returns as many elements along its last axis.
    sizes: lengths that the function likes, ascending. A part begins early if that makes it one of them long.
    """

    def __init__(self, reach: int, function: Callable[[slice], Tensor], sizes: Sequence[int] = ()) -> None:
        self._reach = reach
        self._sizes = sizes
        self._function = function
        self._done = 0

    def __call__(self, length: int, last: bool) -> Tensor:
        """Return the new elements that nothing to come can change; if `last`, all up to `length`."""
        until = length if last else max(self._done, length - self._reach)
        needed = length - max(0, self._done - self._reach)
        start = max(0, length - next((size for size in self._sizes if size >= needed), needed))
        result = self._function(slice(start, length))[..., self._done - start : until - start]
        self._done = until
        return result


def _draw_noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw the noise that the flow starts from. Returns (1, T, 80)."""
    shape = (1, like.size(1), MEL)
    return torch.randn(shape, generator=generator, device=generator.device, dtype=like.dtype).to(like.device)
