"""The decoding loop of T3 over upstream's modules: text tokens and a voice in, speech tokens out.

It installs no hooks, keeps no state between takes and draws from the take's own generator alone.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from chatterbox.models.t3.modules.cond_enc import T3Cond
from torch import Tensor
from transformers import DynamicCache

from monica.engine import Check, SynthesisParams
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.sampling import BOS, EOS, FAILED, draw, guide, probabilities
from monica.errors import SynthesisFailed

logger = logging.getLogger(__name__)


def embed_prompt(t3: Any, text_tokens: Tensor, conditionals: Conditionals, params: SynthesisParams) -> Tensor:
    """Embed what T3 reads before it speaks: voice, text, beginning of speech.

    text_tokens: (S,). Returns (R, P, 1024); row 0 conditional, row 1, where there is guidance, unconditional.
    As upstream: the unconditional row loses its text before positions are added, and BOS stands there twice,
    both at position 0.
    """
    rows = 2 if params.cfg_weight > 0 else 1
    # Made anew for every take: upstream writes into it.
    voice = T3Cond(
        speaker_emb=conditionals.speaker_embedding,
        cond_prompt_speech_tokens=conditionals.prompt_tokens,
        emotion_adv=torch.full((1, 1, 1), params.exaggeration, device=text_tokens.device),
    )
    embeds, _ = t3.prepare_input_embeds(
        t3_cond=voice,
        text_tokens=text_tokens.expand(rows, -1),
        speech_tokens=text_tokens.new_full((rows, 1), BOS),
        cfg_weight=params.cfg_weight,
    )  # (R, P - 1, 1024)
    bos = embed_token(t3, text_tokens.new_tensor(BOS), 0)  # (1, 1, 1024)
    return torch.cat([embeds, bos.expand(rows, -1, -1)], dim=1)  # (R, P, 1024)


def embed_token(t3: Any, token: Tensor, position: int) -> Tensor:
    """Embed one speech token. token: (). Returns (1, 1, 1024)."""
    embed: Tensor = t3.speech_emb(token.view(1, 1)) + t3.speech_pos_emb.get_fixed_embedding(position)
    return embed


def forward(t3: Any, embeds: Tensor, cache: DynamicCache) -> Tensor:
    """Run the transformer over new positions, prefill or decode step. embeds: (R, T, 1024).

    Returns (R, 8194), the logits after the last position; `cache` grows by T.
    """
    hidden = t3.tfmr(inputs_embeds=embeds, past_key_values=cache, use_cache=True).last_hidden_state
    logits: Tensor = t3.speech_head(hidden[:, -1])  # (R, 8194)
    return logits.float()


@torch.inference_mode()
def decode(
    t3: Any,
    text_tokens: Tensor,
    conditionals: Conditionals,
    params: SynthesisParams,
    generator: torch.Generator,
    check: Check,
) -> Tensor:
    """Sample speech tokens until end of speech.

    text_tokens: (S,) int64. Returns (N,) int64 at 25 tokens a second, N <= params.max_tokens, without end of speech
    and without the token before it, which decodes to 40 ms of noise. Where `max_tokens` comes first, nothing is cut.
    Raises SynthesisFailed where no token is left, or what `check` raises between two steps.
    """
    limit = min(params.max_tokens, t3.hp.max_speech_tokens)
    cache = DynamicCache(config=t3.cfg)
    embeds = embed_prompt(t3, text_tokens, conditionals, params)
    rows = embeds.size(0)
    seen = torch.zeros(t3.hp.speech_tokens_dict_size, dtype=torch.bool, device=embeds.device)
    seen[BOS] = True  # the penalty counts it, as upstream's does
    tokens: list[int] = []
    ended = False
    while len(tokens) < limit:
        check()
        logits = guide(forward(t3, embeds, cache), params.cfg_weight)
        token = draw(probabilities(logits, seen, params), generator)
        drawn = int(token)
        if drawn == FAILED:
            raise SynthesisFailed("T3 gave no numbers: the weights are damaged or overflow.")
        if ended := drawn == EOS:
            break
        tokens.append(drawn)
        seen[token] = True
        embeds = embed_token(t3, token, len(tokens)).expand(rows, -1, -1)
    if ended:
        tokens = tokens[:-1]
    else:
        logger.warning("no end of speech within %d tokens: the take is cut there", limit)
    if not tokens:
        raise SynthesisFailed("The model ended the sentence before it said anything. Another seed may help.")
    return torch.tensor(tokens, device=text_tokens.device)
