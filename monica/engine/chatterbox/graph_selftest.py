"""The self-test of captured graphs: each of them runs once at start-up, and is compared with plain float32.

A graph is replayed for many shapes that eager code would send to other kernels, so a sample of them would prove little.
T3's graphs all share one sequence, which float32 computes once, as a whole. S3Gen's are compared with the same step of
an estimator in float32, at a length that leaves some of the graph's frames unused.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from monica.engine import SynthesisParams
from monica.engine.chatterbox.estimator import MEL, Estimator
from monica.engine.chatterbox.euler import EulerSolver, EulerStep
from monica.engine.chatterbox.sampling import SPEECH_TOKENS, guide, probabilities, sample_token
from monica.engine.chatterbox.selftest import MIN_AGREEMENT, REMEDY, agreement
from monica.engine.chatterbox.slots import slot_rows
from monica.engine.chatterbox.t3 import T3
from monica.engine.torch.graphs import Replay
from monica.errors import ConfigError

SEED = 17
NOT_ALIKE = 6
"""Positions at the beginning that are zero in the unconditional row, so that the two rows differ."""
UNUSED_FRAMES = 37


def step_sequence(front: Any, length: int) -> tuple[Tensor, Tensor]:
    """Make the sequence that T3's graphs are tried on. Returns its tokens, (T,), and their embeddings, (2, T, 1024)."""
    generator = torch.Generator().manual_seed(SEED)
    tokens = torch.randint(SPEECH_TOKENS, (length,), generator=generator).to(front.speech_head.weight.device)
    with torch.inference_mode():
        embeds = front.speech_emb.weight[tokens] + front.speech_pos_emb.emb.weight[:length]
        sequence = torch.stack([embeds, embeds])
        sequence[1, :NOT_ALIKE].zero_()
    return tokens, sequence


@torch.inference_mode()
def check_step_graphs(t3: T3, tokens: Tensor, sequence: Tensor, output: Tensor) -> int:
    """Run each of T3's graphs. tokens, sequence: of `step_sequence`. output: of `selftest.float32_outputs`.

    Its slots are at different positions: the first at the last one that the graph covers, the others before it. The
    cache holds the whole sequence, so each must compute that position's logits, and draw the likeliest token.
    Returns how many there were. Raises ConfigError with the name of a graph that computes something else.
    """
    _fill_cache(t3, sequence)
    slots, count = t3.slots, 0
    for name, used, window, replay in t3.captured_steps():
        positions = [window - 1 - index * window // used for index in range(used)]
        for slot, position in enumerate(positions):
            slots.init_slot(slot, position, SynthesisParams())
            slots.input_token[slot] = tokens[position]
            slots.num_generated[slot].fill_(position)
        slots.exponential_noise.fill_(1)
        generated = slots.generated_mask[:used].clone()
        replay()
        logits = slots.logits[:used]
        _require(name, t3.precision, agreement(logits, t3.front.speech_head(output[:, positions]).transpose(0, 1)))
        params = slots.params.first_slots(used)
        probs = probabilities(guide(logits, params.cfg_weight), generated, params)
        drawn = sample_token(probs, slots.exponential_noise[:used])
        _require(name, t3.precision, float((drawn == slots.next_token[:used]).all()))
        count += 1
    t3.llama.clear_rows(slice(None))
    t3.slots.reset_counters()
    return count


@torch.inference_mode()
def check_euler_graphs(solver: EulerSolver, reference: Estimator, precision: str) -> int:
    """Run each of S3Gen's graphs, and the same step kernel by kernel. reference: the estimator in float32.

    Every frame must move in the same direction. Returns how many there were. Raises ConfigError with the name of a
    graph that computes something else.
    """
    count = 0
    for name, euler_step, replay in solver.captured_steps():
        longest = euler_step.x.size(1)
        frames = longest - min(UNUSED_FRAMES, longest // 2)
        expected = euler_step.with_estimator(reference, frames)
        found, wanted = _moved(euler_step, replay, frames), _moved(expected, expected.run, frames)
        _require(name, precision, float(F.cosine_similarity(found, wanted, dim=-1).min()))
        count += 1
    return count


def _moved(euler_step: EulerStep, run: Replay, frames: int) -> Tensor:
    """Return by how much a step moves random frames, (1, frames, 80)."""
    estimator, generator = euler_step.estimator, torch.Generator().manual_seed(SEED)
    x, mu, prompt = torch.randn(3, 1, frames, MEL, generator=generator).to(euler_step.x).unbind()
    speaker = torch.randn(1, MEL, generator=generator).to(euler_step.x)
    euler_step.set_inputs(x, estimator.cond_features(mu, speaker, prompt), euler_step.steps // 2)
    run()
    return euler_step.x[:, :frames] - x


def _fill_cache(t3: T3, sequence: Tensor) -> None:
    """Put the whole sequence into the cache of every slot."""
    first = slot_rows(0)
    t3.llama.prefill(sequence.to(t3.llama.dtype, copy=True), first.start)
    for slot in range(1, t3.slots.count):
        t3.llama.move_rows(first, slot_rows(slot), sequence.size(1))


def _require(name: str, precision: str, found: float) -> None:
    if not found >= MIN_AGREEMENT[precision]:  # NaN too
        raise ConfigError(
            f"The CUDA graph of {name} computes wrong numbers in {precision}: "
            f"they agree with float32 to {found:.3f}. {REMEDY}"
        )
