"""The features extractor that Stable-Baselines3 takes: observation to tokens to one vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from jaxtyping import Float
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from attention_agents.envs.random_streams import derive_seed
from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.envs.tokens.spaces import TokenChoice, build_layout, choose_specs
from attention_agents.envs.tokens.specs import Entities
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.encoder import Encoder
from attention_agents.policies.gate.random_stream import has_redrawn_layer
from attention_agents.policies.registries import BLOCKS, READOUTS, SCORES
from attention_agents.policies.sb3.random_states import random_states
from attention_agents.policies.state_dict_keys import rename_keys_on_load
from attention_agents.policies.tokenizers.observation import ObservationTokenizer
from attention_agents.policies.tokens import Tokens

STATES, FEWEST_STATES, TOKENS = 64, 8, 8192
"""Random states by which the read of a set is brought to unit size: so many, or so few that they
hold about 8192 tokens, yet 8 at least."""


class AttentionExtractor(BaseFeaturesExtractor):
    """Attend over the tokens of any observation, inside any Stable-Baselines3 policy.

    Presence is a number of the observation, above 0.5 where a token is there. Whatever rescales
    observations, such as `VecNormalize(norm_obs=True)`, must leave tables of entities and histories
    alone (`norm_obs_keys`), or their tokens are absent.

    Where tokens are entities, what the readout gives is brought to unit size over random states of
    the space before training, see `ReadStandard`: one of many tokens does not drown.

    Args:
        observation_space: Box, Discrete, MultiDiscrete, MultiBinary, or Dict of these.
        tokens: kind of tokens, or a kind per key of a Dict; "auto" chooses from the space.
        layers: attention layers, the readout's included.
        heads: attention heads.
        width: width of tokens and features, a multiple of heads.
        readout: a word of `READOUTS`, such as "query" (learned), "ego" (the agent's own token) or
            "mean"; "auto": ego where the observation has such a token, else query.
        block: a word of `BLOCKS`, for the layers before the readout.
        attention: a whole `AttentionConfig`, or a score, such as "additive".
        num_queries: learned queries, slots or inducing points, for blocks and readouts that have
            some.
        query_source: key of a Dict observation whose tokens are the queries, for the readout
            "cross".
        old_arguments: `points` and `asker`, as zip files of version 0.1 call these two.

    Raises:
        ValueError: the space cannot be cut into tokens as asked, a word is unknown, the sizes do
            not fit, or the parts do not go together.
        TypeError: an argument is unknown.

    >>> from stable_baselines3 import PPO
    >>> kwargs = dict(features_extractor_class=AttentionExtractor,
    ...               features_extractor_kwargs=dict(width=32, heads=2, attention="additive"))
    >>> model = PPO("MlpPolicy", "CartPole-v1", policy_kwargs=kwargs, device="cpu")
    >>> model.policy.features_extractor.layout.names
    ('x0', 'x1', 'x2', 'x3')
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        tokens: TokenChoice | Mapping[str, TokenChoice] = "auto",
        layers: int = 2,
        heads: int = 4,
        width: int = 64,
        readout: str = READOUTS.default,
        block: str = BLOCKS.default,
        attention: str | AttentionConfig = SCORES.default,
        num_queries: int = 4,
        query_source: str = "",
        **old_arguments: Any,
    ):
        super().__init__(observation_space, features_dim=width)
        num_queries = old_arguments.pop("points", num_queries)
        query_source = old_arguments.pop("asker", query_source)
        if old_arguments:
            raise TypeError(f"AttentionExtractor has no argument {next(iter(old_arguments))!r}")
        specs = choose_specs(observation_space, tokens)
        self.layout: TokenLayout = build_layout(specs)
        self.context = LayerContext(
            width=width,
            heads=heads,
            num_tokens=len(self.layout),
            layout=self.layout,
            attention=AttentionConfig(attention) if isinstance(attention, str) else attention,
            num_queries=num_queries,
            query_source=query_source,
            has_positions=any(
                isinstance(spec, Entities) and spec.position for spec in specs.values()
            ),
        )
        self.encoder = Encoder(self.context, layers, block, readout)
        self.tokenizer = ObservationTokenizer(specs, width)
        self.register_load_state_dict_pre_hook(rename_keys_on_load)
        is_set = any(isinstance(spec, Entities) for spec in specs.values())
        if is_set and not has_redrawn_layer(self):
            count = max(FEWEST_STATES, min(STATES, TOKENS // len(self.layout)))
            seed = derive_seed(torch.initial_seed(), "random states")
            states = random_states(observation_space, specs, count, seed)
            self.encoder.set_standard(self.tokenizer(state) for state in states)

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        return self.features_from_tokens(self.tokenizer(observations))  # (B, D)

    def features_from_tokens(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        """Return the features that the tokens of an observation give."""
        return self.encoder(tokens)
