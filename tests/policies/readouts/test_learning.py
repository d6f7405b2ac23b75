"""A policy of Stable-Baselines3 learns and is heard with each readout."""

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import PPO

from attention_agents.envs.wrappers.flat_history import History
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.extractor import AttentionExtractor
from tests.policies.readouts.cases import T


@pytest.mark.parametrize(
    ("readout", "queries", "rows"),
    [
        ("queries", "readout", 3),
        ("cls", "readout", 1),
        ("present", "readout", 1),
        ("votes", "readout", 1),
        ("slots", "slots", 3),
        ("attention-gru", "steps", T),
        ("augru", "readout", 1),
        ("attgru", "readout", 1),
    ],
)
def test_a_policy_learns_and_is_heard_with_each_readout(readout, queries, rows):
    env = History(gym.make("CartPole-v1"), steps=T)
    options = dict(width=12, heads=3, readout=readout, num_queries=3)
    kwargs = dict(features_extractor_class=AttentionExtractor, features_extractor_kwargs=options)
    model = PPO("MlpPolicy", env, n_steps=32, batch_size=16, policy_kwargs=kwargs, seed=0)
    extractor = model.policy.features_extractor
    before = {name: p.clone() for name, p in extractor.encoder.readout.named_parameters()}
    model.learn(32)
    after = dict(extractor.encoder.readout.named_parameters())
    assert all(p.isfinite().all() for p in after.values())
    unmoved = {name for name, p in before.items() if torch.equal(p, after[name])}
    assert all(name.endswith("empty_vector") or "key" in name for name in unmoved), unmoved
    obs, _ = env.reset(seed=0)
    with AttentionTap(model.policy) as tap:
        model.predict(obs)
        maps = tap.take().maps
    assert [one.name for one in maps] == ["actor/0", "actor/1"]
    assert maps[1].queries == queries and maps[1].weights.shape[:3] == (1, 3, rows)
    present = maps[1].weights[0, :, -1]
    torch.testing.assert_close(present[:, T - 1 :].sum(-1), torch.ones(3))  # the only step so far
