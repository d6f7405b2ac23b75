"""The features extractor that Stable-Baselines3 takes: observation to tokens to one vector."""

from __future__ import annotations

from collections.abc import Mapping

from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.envs.tokens.spaces import TokenChoice, build_layout, choose_specs
from attention_agents.envs.tokens.specs import Entities
from attention_agents.policies.attention import Mechanism, Site
from attention_agents.policies.encoder import Encoder
from attention_agents.policies.tokenizers import ObservationTokenizer


class AttentionExtractor(BaseFeaturesExtractor):
    """Attend over the tokens of any observation, inside any Stable-Baselines3 policy.

    Presence is a number of the observation, above 0.5 where a token is there. Whatever rescales
    observations, such as `VecNormalize(norm_obs=True)`, must leave tables of entities and histories
    alone (`norm_obs_keys`), or their tokens are absent.

    Args:
        observation_space: Box, Discrete, MultiDiscrete, MultiBinary, or Dict of these.
        tokens: kind of tokens, or a kind per key of a Dict; "auto" chooses from the space.
        layers: attention layers, the readout's included.
        heads: attention heads.
        width: width of tokens and features, a multiple of heads.
        readout: a name of `policies.readouts.READOUTS`, such as "query" (learned), "ego" (the
            agent's own token asks) or "mean"; "auto": ego where the observation has such a token,
            else query.
        block: a name of `policies.blocks.BLOCKS`, for the layers before the readout.
        attention: a whole `Mechanism`, or the name of a score, such as "additive".
        points: learned queries, slots or inducing points, for blocks and readouts that have some.
        asker: key of a Dict observation whose tokens ask, for the readout "cross".

    Raises:
        ValueError: the space cannot be cut into tokens as asked, a name is unknown, the sizes do
            not fit, or the parts do not go together.

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
        readout: str = "auto",
        block: str = "residual",
        attention: str | Mechanism = "scaled-dot-product",
        points: int = 4,
        asker: str = "",
    ):
        super().__init__(observation_space, features_dim=width)
        specs = choose_specs(observation_space, tokens)
        self.layout: TokenLayout = build_layout(specs)
        if readout == "auto":
            has_ego = any(group.ego is not None for group in self.layout.groups)
            readout = "ego" if has_ego else "query"
        mechanism = Mechanism(score=attention) if isinstance(attention, str) else attention
        self.site = Site(
            width=width,
            heads=heads,
            keys=len(self.layout),
            layout=self.layout,
            mechanism=mechanism,
            points=points,
            asker=asker,
            placed=any(isinstance(spec, Entities) and spec.position for spec in specs.values()),
        )
        self.encoder = Encoder(self.site, layers, block, readout)
        self.tokenizer = ObservationTokenizer(specs, width)

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        return self.encoder(self.tokenizer(observations))  # (B, D)
