"""Pointer actions for sb3-contrib's MaskablePPO. Needs the extra `contrib`."""

from __future__ import annotations

from typing import Any

from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import BasePolicy

from attention_agents.policies.sb3.pointer import PointerPolicyMixin


class MaskablePointerPolicy(PointerPolicyMixin, MaskableActorCriticPolicy):  # type: ignore[misc]
    """A `PointerPolicy` that heeds action masks; an action that is not valid weighs 0.

    >>> from sb3_contrib import MaskablePPO
    >>> from attention_agents.envs.make import make_env
    >>> model = MaskablePPO(MaskablePointerPolicy, make_env("attention/Collect-v0"), device="cpu")

    Raises:
        ValueError: see `PointerPolicyMixin`.
    """

    def forward(self, obs: Any, deterministic: bool = False, action_masks: Any = None) -> Any:
        features: Any = self.extract_features(obs)
        actor, critic = (features, features) if self.share_features_extractor else features
        values = self.value_net(self.mlp_extractor.forward_critic(critic))
        latent = self.mlp_extractor.forward_actor(actor)
        distribution = self._get_action_dist_from_latent(latent)
        if action_masks is not None:
            distribution.apply_masking(action_masks)
        actions = self.report_distribution(distribution, latent).get_actions(
            deterministic=deterministic
        )
        return actions.reshape(-1), values, distribution.log_prob(actions)

    def get_distribution(self, obs: Any, action_masks: Any = None) -> Any:
        features: Any = BasePolicy.extract_features(self, obs, self.pi_features_extractor)
        latent = self.mlp_extractor.forward_actor(features)
        distribution = self._get_action_dist_from_latent(latent)
        if action_masks is not None:
            distribution.apply_masking(action_masks)
        return self.report_distribution(distribution, latent)
