"""TRPO through attention: every parameter of the actor, and the right second derivative."""

from __future__ import annotations

import pytest
import torch
from sb3_contrib import TRPO as Plain
from stable_baselines3.common.logger import Logger

from attention_agents.agents.algorithms.build import (
    build_model,
    constructor_arguments,
    make_vec_env,
)
from attention_agents.agents.algorithms.trpo import TRPO
from attention_agents.agents.config.encoder_config import EncoderConfig
from attention_agents.agents.config.run_config import PolicyConfig, RunConfig

RUN = RunConfig(
    env="CartPole-v1",
    algo="trpo",
    n_timesteps=96,
    seed=1,
    n_envs=2,
    encoder=EncoderConfig(layers=2, heads=3, width=12),
    policy=PolicyConfig(net_arch=(7,)),
    hyperparams={"n_steps": 16, "batch_size": 16, "n_critic_updates": 1},
    device="cpu",
)


@pytest.fixture
def model():
    env = make_vec_env(RUN)
    yield build_model(RUN, env)
    env.close()


def divergence(model: TRPO) -> tuple[torch.Tensor, torch.Tensor]:
    """A KL divergence (from even odds) and a surrogate objective over a few observations."""
    observations = torch.randn(5, 4, generator=torch.Generator().manual_seed(3))
    logits = model.policy.get_distribution(observations).distribution.logits  # (5, 2)
    return -logits.mean(), (logits * torch.tensor([0.3, -0.7])).sum()


def test_plain_trpo_cannot_learn_through_fused_attention():
    env = make_vec_env(RUN)
    arguments = constructor_arguments(RUN, env.observation_space, env.action_space)
    model = Plain(env=env, seed=1, device="cpu", **arguments)
    with pytest.raises(RuntimeError, match="not implemented"):
        model.learn(96)


def test_every_parameter_of_the_actor_is_moved_by_the_trust_region(model):
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        kl, objective = divergence(model)
        actor, gradient, grad_kl, shapes = model._compute_actor_grad(kl, objective)
    names = {
        name for name, each in model.policy.named_parameters() if any(each is a for a in actor)
    }
    parts = dict(model.policy.named_parameters())
    critic = {name for name in parts if name.split(".")[:2] == ["mlp_extractor", "value_net"]}
    critic |= {"value_net.weight", "value_net.bias"}
    critic |= {name for name in parts if name.endswith("empty_vector")}  # read where no token is
    assert names == set(parts) - critic
    assert any("value" in name for name in names), "sb3-contrib would have left it to the critic"
    count = sum(each.numel() for each in actor)
    assert gradient.shape == grad_kl.shape == (count,)
    assert shapes == [tuple(each.shape) for each in actor]


def test_the_hessian_is_that_of_finite_differences(model):
    model.policy.double()
    eps = 1e-5
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):

        def gradient():
            observations = torch.randn(5, 4, generator=torch.Generator().manual_seed(3)).double()
            logits = model.policy.get_distribution(observations).distribution.logits
            return model._compute_actor_grad(-logits.mean(), logits[:, 0].sum())

        actor, _, grad_kl, shapes = gradient()
        vector = torch.randn(
            grad_kl.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64
        )
        product = model.hessian_vector_product(actor, grad_kl, vector)

        def moved(step: float) -> torch.Tensor:
            parts = vector.split([each.numel() for each in actor])
            with torch.no_grad():
                for each, part, shape in zip(actor, parts, shapes, strict=True):
                    each += step * part.view(shape)
            return gradient()[2].detach()

        numeric = (moved(eps) - moved(-2 * eps)) / (2 * eps)
    torch.testing.assert_close(product, numeric + model.cg_damping * vector, atol=1e-5, rtol=1e-4)


def test_a_step_raises_the_objective_within_the_trust_region(model):
    model.set_logger(Logger(None, []))
    model.learn(32, log_interval=None)
    kept = model.logger.name_to_value
    assert kept["train/is_line_search_success"] == 1
    assert 0 < kept["train/kl_divergence_loss"] < model.target_kl
    assert kept["train/policy_objective"] > 0
