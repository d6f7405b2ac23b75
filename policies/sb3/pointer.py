"""Pointer actions: the logits of actions are attention scores over entities.

For worlds with one action per entity. The map and the decision are the same numbers: the weights
that the pointer reports are the probabilities that the action is drawn from. Only where no entity
is there, and an action must be drawn all the same, the map is 0.
"""

from __future__ import annotations

import warnings
from itertools import chain
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from jaxtyping import Bool, Float
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.tokens import Tokens, present_mask

ABSENT = -1e8
"""Logit of an entity that is not there, as sb3-contrib's of a masked action."""


class PointerFeatures(NamedTuple):
    """The features that the pointer needs, as parts of one vector."""

    summary: Float[Tensor, "B D"]
    """What the readout made of all tokens."""
    rows: Float[Tensor, "B A D"]
    """The tokens that can be pointed at, after the encoder's blocks."""
    present: Bool[Tensor, "B A"]


class PointerExtractor(AttentionExtractor):
    """Give the readout's vector, and the tokens of the entities, as one long vector.

    Its width is D + A * D + A: the summary, the A rows, and which of them are present. Which tokens
    the rows are, `find_targets` says.

    Args:
        observation_space: with entities.
        actions: A, the number of actions, one per entity.
        options: of `AttentionExtractor`.

    Raises:
        ValueError: there is not one action per entity, or a rule of `AttentionExtractor` is broken.
    """

    targets: Tensor

    def __init__(self, observation_space: spaces.Space, actions: int, **options: Any):
        super().__init__(observation_space, **options)
        targets = find_targets(self.layout, actions)
        self.register_buffer("targets", torch.tensor(targets), persistent=False)
        self.num_actions, self.width = len(targets), self.features_dim
        self._features_dim = self.width + self.num_actions * (self.width + 1)

    def features_from_tokens(self, tokens: Tokens) -> Float[Tensor, "B F"]:
        tokens = self.encoder.apply_blocks(tokens)
        summary = self.encoder.norm(self.encoder.readout(tokens))  # (B, D)
        rows = self.encoder.norm(tokens.values[:, self.targets])  # (B, A, D)
        present = present_mask(tokens)[:, self.targets].to(rows.dtype)  # (B, A)
        return torch.cat([summary, rows.flatten(1), present], 1)

    def split_features(self, features: Float[Tensor, "B F"]) -> PointerFeatures:
        """Split this extractor's features into what they are made of."""
        D, A = self.width, self.num_actions
        summary, rows, present = features.split([D, A * D, A], 1)
        return PointerFeatures(summary, rows.view(-1, A, D), present > 0.5)


def count_actions(actions: spaces.Space | None) -> int:
    """Return the number of actions.

    Raises:
        ValueError: they are not Discrete.
    """
    if not isinstance(actions, spaces.Discrete):
        raise ValueError(f"a pointer needs Discrete actions, got {actions}; use the head mlp")
    return int(actions.n)


def find_targets(layout: TokenLayout, actions: int) -> tuple[int, ...]:
    """Return the token that each action points at: the first that fits of these.

    All entities in their order; the entities of one key, such as the nodes of a graph whose edges
    are entities too, the first key that fits. No action points at the agent
    itself, nor at the past.

    Raises:
        ValueError: there is not one action per entity.
    """
    groups = [
        (group, [row for i, row in enumerate(range(len(layout))[part]) if i != group.ego])
        for group, part in zip(layout.groups, layout.slices, strict=True)
        if group.kind == "entities" and not group.past
    ]
    rows_by_key = [rows for _, rows in groups]
    for rows in ([*chain(*rows_by_key)], *rows_by_key):
        if len(rows) == actions:
            return tuple(rows)
    count = sum(map(len, rows_by_key))
    parts = ", ".join(f"{len(rows)} of {group.key!r}" for group, rows in groups)
    parts = f" ({parts})" if len(groups) > 1 else ""
    beside = " beside the agent" if any(group.ego is not None for group, _ in groups) else ""
    advice = "use --policy-head mlp (in Python a plain policy)"
    if beside:
        advice += "; where no entity is marked as the agent (no ego), all can be pointed at"
    elif count:
        advice += f" or, for a padded Sequence or Graph, --max-entities {actions}"
    raise ValueError(
        f"a pointer needs one action per entity, got {actions} actions for {count} "
        f"entities{beside}{parts}; {advice}"
    )


class Pointer(TappableAttention):
    """Score each entity for the action that points at it: `query(summary) . key(row) / sqrt(D)`.

    Source: Vinyals et al. 2015, Pointer networks, https://arxiv.org/abs/1506.03134. Differs: a
        scaled dot-product in place of additive scores.
    """

    queries, query_source, part, heads = "readout", "pointer", "pointer", 1
    targets: Tensor

    def __init__(self, extractor: PointerExtractor):
        super().__init__()
        width = extractor.width
        self.split_features = extractor.split_features
        self.num_tokens = len(extractor.layout)
        self.query = Projection(width, width)
        self.key = Projection(width, width, bias=False)
        self.scale = width**-0.5
        self.register_buffer("targets", extractor.targets.clone(), persistent=False)

    def forward(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B A"]:
        summary, rows, present = self.split_features(features)
        q = self.query(summary)[:, :, None]  # (B, D, 1)
        logits = self.scale * (self.key(rows) @ q)[:, :, 0]
        any_present = present.any(1, keepdim=True)  # (B, 1); else all actions are alike
        return torch.where(any_present, logits.masked_fill(~present, ABSENT), 0.0)

    def report_probabilities(
        self, probabilities: Float[Tensor, "B A"], features: Float[Tensor, "B F"]
    ) -> None:
        """Report the probabilities as weights over all tokens, 0 for those without an action.

        An absent entity weighs exactly 0, also where no other is present and the action is drawn
        from all of them evenly: `weights = probabilities * present`.

        Args:
            probabilities: what the action is drawn from.
            features: of the same pass.
        """
        present = self.split_features(features).present
        B, N = len(probabilities), self.num_tokens
        weights = probabilities.new_zeros(B, N).index_copy(
            1, self.targets, torch.where(present, probabilities, 0.0)
        )
        mask = present.new_zeros(B, N).index_copy(1, self.targets, present)
        self.report(AttentionWeights(weights[:, None, None], mask))


class PointerMlpExtractor(nn.Module):
    """What SB3 calls the mlp extractor: the actor takes all features, the critic the summary."""

    def __init__(self, extractor: PointerExtractor, sizes: list[int], activation: type[nn.Module]):
        super().__init__()
        self.split_features = extractor.split_features
        layers: list[nn.Module] = []
        width = extractor.width
        for size in sizes:
            layers += [nn.Linear(width, size), activation()]
            width = size
        self.value = nn.Sequential(*layers)
        self.latent_dim_pi, self.latent_dim_vf = extractor.features_dim, width

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B F"]:
        return features

    def forward_critic(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B V"]:
        return self.value(self.split_features(features).summary)


class PointerPolicyMixin:
    """What a pointer changes in an actor-critic policy of SB3 or sb3-contrib.

    The actor has no hidden layers: of `net_arch` only the critic's are made, with a warning where
    others are asked for.

    Raises:
        ValueError: actions are not Discrete, or there is not one per entity.
    """

    action_net: Pointer
    net_arch: Any
    activation_fn: type[nn.Module]
    features_extractor: PointerExtractor
    optimizer_class: Any
    optimizer_kwargs: dict[str, Any]

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Any,
        features_extractor_kwargs: dict[str, Any] | None = None,
        **options: Any,
    ):
        extractor_kwargs = {
            **(features_extractor_kwargs or {}),
            "actions": count_actions(action_space),
        }
        options |= {"features_extractor_class": PointerExtractor}
        options["net_arch"] = without_actor_layers(options.get("net_arch"))
        super().__init__(
            observation_space,  # type: ignore[call-arg]
            action_space,
            lr_schedule,
            features_extractor_kwargs=extractor_kwargs,
            **options,
        )

    def _build_mlp_extractor(self) -> None:
        net_arch = self.net_arch
        sizes = net_arch.get("vf", []) if isinstance(net_arch, dict) else net_arch
        self.mlp_extractor = PointerMlpExtractor(self.features_extractor, sizes, self.activation_fn)

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)  # type: ignore[misc]
        self.action_net = Pointer(self.features_extractor)
        self.optimizer = self.optimizer_class(
            self.parameters(),  # type: ignore[attr-defined]
            lr=lr_schedule(1),
            **self.optimizer_kwargs,
        )

    def report_distribution(self, distribution: Any, features: Float[Tensor, "B F"]) -> Any:
        """Report what the action is drawn from, if there are listeners, and return it."""
        if self.action_net.listeners:
            self.action_net.report_probabilities(
                distribution.distribution.probs.detach(), features.detach()
            )
        return distribution


def without_actor_layers(net_arch: Any) -> Any:
    """Return hidden layers of which the actor has none.

    Args:
        net_arch: in SB3's words; a list is the critic's, and None is SB3's default.
    """
    if net_arch is None:
        return {"pi": [], "vf": [64, 64]}
    if isinstance(net_arch, list) and net_arch and isinstance(net_arch[0], dict):
        net_arch = net_arch[0]  # as SB3 used to write it
    if isinstance(net_arch, dict) and net_arch.get("pi"):
        warnings.warn(
            "the actor of a pointer has no hidden layers, as its logits are attention scores; "
            f"pi={net_arch['pi']} of net_arch is left out",
            stacklevel=3,
        )
    return {**net_arch, "pi": []} if isinstance(net_arch, dict) else net_arch


class PointerPolicy(PointerPolicyMixin, ActorCriticPolicy):  # type: ignore[misc]
    """An actor-critic policy of SB3 whose action logits are attention scores over entities.

    >>> from stable_baselines3 import PPO
    >>> from attention_agents.envs.make import make_env
    >>> model = PPO(PointerPolicy, make_env("attention/Collect-v0"), device="cpu")

    Raises:
        ValueError: see `PointerPolicyMixin`.
    """

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Any:
        return self.report_distribution(super()._get_action_dist_from_latent(latent_pi), latent_pi)
