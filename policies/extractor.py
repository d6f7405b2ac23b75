"""The features extractor that Stable-Baselines3 takes: observation to tokens to one vector."""

from __future__ import annotations

from collections.abc import Mapping

from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from envs.layout import TokenLayout
from envs.spaces import Entities, TokenChoice, TokenSpec, layout_of, specs_of
from policies.encoder import Encoder
from policies.tokenizers import ObservationTokenizer


class AttentionExtractor(BaseFeaturesExtractor):
    """Attend over the tokens of any observation, inside any Stable-Baselines3 policy.

    Args:
        observation_space: Box, Discrete, MultiDiscrete, MultiBinary, or Dict of these.
        tokens: kind of tokens, or a kind per key of a Dict; "auto" chooses from the space.
        layers: attention layers, the readout's included.
        heads: attention heads.
        width: width of tokens and features, a multiple of heads.
        readout: "query" (learned), "ego" (the agent's own token asks), "mean", "max", or "auto":
            ego where the observation has such a token, else query.

    Raises:
        ValueError: the space cannot be cut into tokens as asked, or the sizes do not fit.

    >>> from stable_baselines3 import PPO
    >>> kwargs = dict(features_extractor_class=AttentionExtractor,
    ...               features_extractor_kwargs=dict(width=32, heads=2))
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
    ):
        super().__init__(observation_space, features_dim=width)
        specs = specs_of(observation_space, tokens)
        ego = _ego_token(specs)
        if readout == "auto":
            readout = "query" if ego is None else "ego"
        self.layout: TokenLayout = layout_of(specs)
        self.encoder = Encoder(width, heads, layers, readout, ego)
        self.tokenizer = ObservationTokenizer(specs, width)

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        tokens, mask = self.tokenizer(observations)  # (B, N, D), (B, N)
        return self.encoder(tokens, mask)  # (B, D)


def _ego_token(specs: Mapping[str, TokenSpec]) -> int | None:
    start = 0
    for key, spec in specs.items():
        if isinstance(spec, Entities) and spec.ego is not None:
            return start + spec.ego
        start += len(spec.group(key))
    return None
