"""Attention from the top down in sb3-contrib's RecurrentPPO: the carried state is the query.

Needs the extra `contrib`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from gymnasium import spaces
from jaxtyping import Float
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.readouts.attention_gru import AttentionGRUCell
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.state_dict_keys import rename_keys_on_load
from attention_agents.policies.tokens import Tokens, present_mask

States = tuple[Float[Tensor, "1 B D"], Float[Tensor, "1 B D"]]
"""Hidden and cell state, as of an LSTM; a GRU leaves the second as it is."""


class TokenExtractor(AttentionExtractor):
    """Give all tokens after the encoder's blocks, and which are present, as one long vector.

    Its width is N * D + N. There is no readout: the recurrent state reads the tokens.

    Args:
        observation_space: see `AttentionExtractor`.
        options: of `AttentionExtractor`; `layers` counts the state's read as the last.

    Raises:
        ValueError: see `AttentionExtractor`; or a readout is asked for.
    """

    def __init__(self, observation_space: spaces.Space, **options: Any):
        if options.pop("readout", "auto") not in ("auto", "attention-gru"):
            raise ValueError("the recurrent state is the readout of this policy; name no other")
        super().__init__(observation_space, **options, readout="query")
        self.encoder.readout = nn.Identity()  # type: ignore[assignment]
        self.width, self.num_tokens = self.features_dim, len(self.layout)
        self._features_dim = self.num_tokens * (self.width + 1)

    def features_from_tokens(self, tokens: Tokens) -> Float[Tensor, "B F"]:
        tokens = self.encoder.apply_blocks(tokens)
        present = present_mask(tokens).to(tokens.values.dtype)  # (B, N)
        return torch.cat([tokens.values.flatten(1), present], 1)

    def split_features(self, features: Float[Tensor, "B F"]) -> Tokens:
        """Return the tokens that this extractor's features were made of."""
        N, D = self.num_tokens, self.width
        values, present = features.split([N * D, N], 1)
        return Tokens(values.reshape(-1, N, D), present > 0.5)


class RecurrentAttention(nn.Module):
    """An `AttentionGRUCell` that is called like an `nn.LSTM` of one layer.

    Args:
        extractor: makes the features that come in.
        context: of the tokens that are read.
    """

    num_layers = 1

    def __init__(self, extractor: TokenExtractor, context: LayerContext):
        super().__init__()
        self.split_features = extractor.split_features
        self.input_size, self.hidden_size = extractor.features_dim, extractor.width
        self.cell = AttentionGRUCell(context)
        self.register_load_state_dict_pre_hook(rename_keys_on_load)

    def forward(
        self, features: Float[Tensor, "T B F"], states: States
    ) -> tuple[Float[Tensor, "T B D"], States]:
        hidden, rest = states
        state, outputs = hidden[0], []
        for step in features:
            state = self.cell(state, self.split_features(step))
            outputs.append(state)
        return torch.stack(outputs), (state[None], rest)


class AttentionGRUPolicy(RecurrentActorCriticPolicy):
    """A policy for RecurrentPPO whose recurrent state is a query that reads the tokens.

    The critic has a recurrent state of its own, unless `enable_critic_lstm` is False.

    >>> from sb3_contrib import RecurrentPPO
    >>> model = RecurrentPPO(AttentionGRUPolicy, "CartPole-v1", n_steps=8, device="cpu")
    >>> model.policy.lstm_actor.hidden_size
    64

    Source: Mott et al. 2019, Towards interpretable reinforcement learning using attention augmented
        agents, https://arxiv.org/abs/1906.02500. Differs: see `AttentionGRUCell`.
    """

    features_extractor: TokenExtractor

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Any,
        features_extractor_kwargs: dict[str, Any] | None = None,
        **options: Any,
    ):
        extractor_kwargs = dict(features_extractor_kwargs or {})
        for name in ("lstm_hidden_size", "features_extractor_class"):
            options.pop(name, None)
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            features_extractor_class=TokenExtractor,
            features_extractor_kwargs=extractor_kwargs,
            lstm_hidden_size=extractor_kwargs.get("width", 64),
            **options,
        )
        self.lstm_actor = self._build_recurrent_attention(self.pi_features_extractor)  # type: ignore[assignment]
        if self.lstm_critic is not None:
            self.lstm_critic = self._build_recurrent_attention(self.vf_features_extractor)  # type: ignore[assignment]
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def _build_recurrent_attention(self, extractor: Any) -> RecurrentAttention:
        return RecurrentAttention(extractor, replace(extractor.context, query_tokens=None)).to(
            self.device
        )
