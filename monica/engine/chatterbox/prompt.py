"""The prompt of T3: the voice, the text, the beginning of speech."""

from __future__ import annotations

from typing import Any

import torch
from chatterbox.models.t3.modules.cond_enc import T3Cond
from torch import Tensor

from monica.engine import SynthesisParams
from monica.engine.chatterbox.conditionals import Conditionals
from monica.engine.chatterbox.sampling import BOS


def embed_prompt(front: Any, text_tokens: Tensor, voice: Conditionals, params: SynthesisParams) -> Tensor:
    """Embed a prompt with upstream's own modules. front: upstream's T3. text_tokens: (S,) int64.

    Returns (R, P, 1024). Row 0 is conditional; row 1, present only with guidance, is unconditional. As in upstream, the
    unconditional row loses its text before positions are added, and BOS comes twice, both times at position 0.
    """
    rows = 2 if params.cfg_weight > 0 else 1
    dtype = front.speech_emb.weight.dtype
    # A new one for every take: upstream writes into it.
    condition = T3Cond(
        speaker_emb=voice.speaker_embedding.to(dtype),
        cond_prompt_speech_tokens=voice.prompt_tokens,
        emotion_adv=torch.full((1, 1, 1), params.exaggeration, dtype=dtype, device=text_tokens.device),
    )
    embeds, _ = front.prepare_input_embeds(
        t3_cond=condition,
        text_tokens=text_tokens.expand(rows, -1),
        speech_tokens=text_tokens.new_full((rows, 1), BOS),
        cfg_weight=params.cfg_weight,
    )  # (R, P - 1, 1024)
    bos = front.speech_emb.weight[BOS] + front.speech_pos_emb.emb.weight[0]  # (1024,)
    return torch.cat([embeds, bos.expand(rows, 1, -1)], dim=1)  # (R, P, 1024)
