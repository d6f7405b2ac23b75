"""Evidence: what every token speaks for, and the tokens, means and margins that it needs."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import QRDQN, TQC, TRPO, CrossQ, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from torch import nn

from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Cells, Entities
from attention_agents.policies.inspect.evidence import Evidence
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.inspect.token_capture import TokenCapture, TokenMeans, TokenPass
from attention_agents.policies.inspect.token_inputs import find_token_inputs, token_inputs
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.gated_extractor import GatedExtractor, attention_policy_kwargs
from attention_agents.policies.sb3.maskable_pointer import MaskablePointerPolicy
from attention_agents.policies.sb3.pointer import PointerPolicy
from attention_agents.policies.sb3.recurrent import AttentionGRUPolicy
from attention_agents.policies.tokens import Tokens

B, N, F, A = 3, 5, 7, 4
NUMBERS = spaces.Box(-9, 9, (N,), np.float32)
PICTURE = spaces.Box(0, 255, (3, 40, 44), np.uint8)
BOARD = TokenBox(0, 1, (N, 6, 4), tokens=Cells(6, 4, channels=N, channels_first=True))
GRID = TokenBox(0, 3, (6, 2), np.uint8, tokens=Cells(2, 3, categories=(4, 4)))
HERD = TokenBox(
    -9, 9, (A, F), tokens=Entities(A, ("presence", *"abcdef"), presence=0), dtype=np.float32
)
MIXED = spaces.Dict(board=BOARD, dash=NUMBERS, look=PICTURE, gear=spaces.Discrete(3))


class Still(gym.Env):
    """A world that is only there to have spaces."""

    def __init__(self, observation_space, action_space=None):
        self.observation_space = observation_space
        self.action_space = action_space or spaces.Discrete(A)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}

    def action_masks(self):
        return np.array([True, False, True, True])


def build(algo, space, actions=None, policy=None, **kwargs):
    torch.manual_seed(1)
    kind = policy or ("MultiInputPolicy" if isinstance(space, spaces.Dict) else "MlpPolicy")
    sizes = dict(n_steps=8, batch_size=8) if algo in (PPO, MaskablePPO, RecurrentPPO) else {}
    if algo in (DQN, QRDQN, SAC, TD3, DDPG, TQC, CrossQ):
        sizes = dict(buffer_size=10)
    return algo(
        kind, Still(space, actions), policy_kwargs=kwargs or None, device="cpu", seed=0, **sizes
    )


def gated(**options):
    return dict(features_extractor_class=GatedExtractor, features_extractor_kwargs=options)


def attentive(**options):
    options = dict(width=12, heads=3, layers=2) | options
    return dict(features_extractor_class=AttentionExtractor, features_extractor_kwargs=options)


def wake(module):
    """Let gates weigh: at the start they are even."""
    for name, parameter in module.named_parameters():
        if name.endswith(("static", "query")):
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(3))


def samples(space, count=B):
    space.seed(4)
    rows = [space.sample() for _ in range(count)]
    if isinstance(space, spaces.Dict):
        return {key: np.stack([row[key] for row in rows]) for key in space.spaces}
    return np.stack(rows)


def all_present(herds):
    herds[:, :, 0] = 1
    return herds


def double(tokens):
    return tuple(part._replace(values=part.values.double()) for part in tokens)


def passed_of(model, observations, **kwargs):
    with TokenCapture(model.policy) as capture:
        actions, _ = model.predict(observations, deterministic=True, **kwargs)
        passed = capture.take()
    assert passed is not None
    return passed, torch.as_tensor(actions)


# where tokens stand


@pytest.mark.parametrize(
    ("space", "kwargs"),
    [
        *((space, gated()) for space in (NUMBERS, PICTURE, BOARD, GRID, MIXED)),
        *((space, attentive()) for space in (NUMBERS, PICTURE, HERD, MIXED)),
        *((space, {}) for space in (NUMBERS, BOARD, GRID, HERD, MIXED, spaces.Discrete(3))),
    ],
)
def test_an_extractor_goes_on_from_its_tokens_bit_for_bit(space, kwargs):
    model = build(PPO, space, **kwargs)
    wake(model.policy)
    passed, _ = passed_of(model, samples(space))
    inputs = token_inputs(model.policy)["actor"]
    tokens, features = passed.tokens["actor"], passed.features["actor"]
    assert sum(part.values.shape[1] for part in tokens) == len(inputs.layout)
    again = inputs.features_from_tokens(tokens)
    torch.testing.assert_close(again, features, rtol=0, atol=0)
    changed = [part._replace(values=part.values + 1) for part in tokens]
    assert (inputs.features_from_tokens(tuple(changed)) != features).any()


def test_the_picture_of_a_stock_agent_is_the_cells_of_its_last_convolution():
    model = build(PPO, PICTURE, policy="CnnPolicy")
    passed, _ = passed_of(model, samples(PICTURE))
    inputs = token_inputs(model.policy)["actor"]
    (part,) = passed.tokens["actor"]
    (group,) = inputs.layout.groups
    assert (group.kind, group.grid, part.values.shape) == ("patches", (1, 2), (B, 2, 64))
    assert not inputs.attention
    torch.testing.assert_close(
        inputs.features_from_tokens((part,)), passed.features["actor"], rtol=0, atol=0
    )
    assert (part.values >= 0).all()  # after the ReLU


def test_flat_numbers_are_the_tokens_that_the_space_speaks_of():
    boards = samples(BOARD)
    model = build(PPO, BOARD)
    passed, _ = passed_of(model, boards)
    (part,) = passed.tokens["actor"]
    assert part.values.shape == (B, 6 * 4, N)
    assert np.array_equal(part.values[1, 4 * 2 + 3].numpy(), boards[1, :, 2, 3])
    (group,) = token_inputs(model.policy)["actor"].layout.groups
    assert (group.kind, group.grid) == ("cells", (6, 4))


def test_tokens_of_several_parts_stand_in_the_order_of_the_layout():
    model = build(PPO, MIXED, **gated())
    inputs = token_inputs(model.policy)["actor"]
    kinds = [group.key for group in inputs.layout.groups for _ in group.names]
    by_part = [torch.full((B, len(part.index)), float(i)) for i, part in enumerate(inputs.parts)]
    joined = inputs.join(by_part)[0].tolist()
    part_of = {"dash": 0.0, "gear": 0.0, "board": 1.0, "look": 2.0}
    assert joined == [part_of[key] for key in kinds]
    for one, own in zip(inputs.split(inputs.join(by_part)), by_part, strict=True):
        assert torch.equal(one, own)


def test_an_unknown_extractor_is_refused():
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor

    class Own(BaseFeaturesExtractor):
        def forward(self, observations):
            return observations

    class Doubled(FlattenExtractor):
        def forward(self, observations):
            return 2 * super().forward(observations)

    assert find_token_inputs(Doubled(NUMBERS)) is None
    model = build(
        PPO, NUMBERS, features_extractor_class=Own, features_extractor_kwargs=dict(features_dim=N)
    )
    with pytest.raises(ValueError, match="not known where the tokens of Own stand; known are"):
        token_inputs(model.policy)


# capture


def test_capturing_changes_no_number_and_is_gone_afterwards():
    model = build(PPO, MIXED, **gated())
    wake(model.policy)
    obs = samples(MIXED)
    tensor = model.policy.obs_to_tensor(obs)[0]
    model.policy.set_training_mode(False)
    before = model.policy(tensor, deterministic=True)
    with TokenCapture(model.policy) as capture:
        during = model.policy(tensor, deterministic=True)
        during[1].sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(before, during, strict=True))
    assert capture.take() is not None and capture.take() is None
    model.predict(obs)
    assert capture.take() is None
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.policy.modules())


def test_tokens_are_copies():
    model = build(PPO, NUMBERS)
    observation = samples(NUMBERS)
    passed, _ = passed_of(model, observation)
    before = passed.tokens["actor"][0].values.clone()
    observation += 1
    assert torch.equal(passed.tokens["actor"][0].values, before)


def test_a_recurrent_state_is_that_of_the_pass():
    model = build(RecurrentPPO, NUMBERS, policy="MlpLstmPolicy", lstm_hidden_size=11)
    with TokenCapture(model.policy) as capture:
        _, state = model.predict(samples(NUMBERS, 1)[0])
        capture.take()
        model.predict(samples(NUMBERS, 1)[0], state=state)
        passed = capture.take()
    assert passed is not None and passed.recurrent_state is not None
    for own, expected in zip(passed.recurrent_state, state, strict=True):
        assert np.array_equal(own.numpy(), expected)


def test_passes_are_joined_and_split():
    model = build(RecurrentPPO, MIXED, policy="MultiInputLstmPolicy", lstm_hidden_size=11)
    passed, taken = passed_of(model, samples(MIXED))
    parts = [passed.select_states(slice(i, i + 1)) for i in range(B)]
    joined, evidence = TokenPass.concatenate(parts), Evidence(model.policy, "zero")
    whole, again = evidence.of(passed, taken), evidence.of(joined, taken)
    torch.testing.assert_close(whole.values, again.values)


# means


def test_means_count_the_states_in_which_a_token_was_present():
    values = torch.randn(B, N, F)
    mask = torch.ones(B, N, dtype=torch.bool)
    mask[1, 3] = mask[:, 4] = False
    means = TokenMeans()
    means.update((Tokens(values[:1], mask[:1]), Tokens(values[:1, :2], None)))
    means.update((Tokens(values[1:], mask[1:]), Tokens(values[1:, :2], None)))
    expected = values.mean(0)
    expected[3], expected[4] = values[[0, 2], 3].mean(0), 0
    torch.testing.assert_close(means.baseline[0], expected)
    torch.testing.assert_close(means.baseline[1], values[:, :2].mean(0))
    assert means.states == B
    again = TokenMeans.from_arrays(means.to_arrays())
    again.update((Tokens(values, mask), Tokens(values[:, :2], None)))
    torch.testing.assert_close(again.baseline[0], expected)
    assert again.counts[0][:, 0].tolist() == [6, 6, 6, 4, 0]


def test_means_that_are_not_there_or_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="the mean of the tokens is not known yet; add"):
        TokenMeans().baseline  # noqa: B018
    arrays = TokenMeans(1, [torch.zeros(N, F)], [torch.ones(N, 1)]).to_arrays()
    with pytest.raises(ValueError, match="means of tokens need"):
        TokenMeans.from_arrays({**arrays, "other": np.zeros(1)})
    with pytest.raises(ValueError, match="do not fit together"):
        TokenMeans.from_arrays({**arrays, "count_0": np.ones((2, 1))})


# evidence

MULTI = spaces.MultiDiscrete([3, 2])
BITS = spaces.MultiBinary(3)
REACH = spaces.Box(-2, 2, (3,), np.float32)
MODELS = {
    "PPO": (PPO, NUMBERS, None, gated()),
    "PPO MultiDiscrete": (PPO, NUMBERS, MULTI, gated()),
    "PPO MultiBinary": (PPO, NUMBERS, BITS, gated()),
    "PPO Box": (PPO, NUMBERS, REACH, gated()),
    "A2C picture": (A2C, PICTURE, None, gated()),
    "TRPO grid": (TRPO, GRID, None, gated()),
    "PPO two extractors": (PPO, MIXED, None, gated() | dict(share_features_extractor=False)),
    "PPO pooled": (PPO, HERD, None, attentive()),
    "PPO stock": (PPO, MIXED, REACH, {}),
    "DQN": (DQN, BOARD, None, gated()),
    "QRDQN": (QRDQN, NUMBERS, None, gated()),
    "SAC": (SAC, NUMBERS, REACH, gated()),
    "TD3": (TD3, NUMBERS, REACH, gated()),
    "DDPG stock": (DDPG, NUMBERS, REACH, {}),
    "TQC": (TQC, NUMBERS, REACH, gated()),
    "CrossQ": (CrossQ, NUMBERS, REACH, gated()),
    "MaskablePPO": (MaskablePPO, NUMBERS, None, gated()),
    "RecurrentPPO": (RecurrentPPO, NUMBERS, None, gated() | dict(policy="MlpLstmPolicy")),
    "attention GRU": (RecurrentPPO, HERD, None, dict(policy=AttentionGRUPolicy)),
    "pointer": (PPO, HERD, None, dict(policy=PointerPolicy)),
    "maskable pointer": (MaskablePPO, HERD, None, dict(policy=MaskablePointerPolicy)),
}


@pytest.mark.parametrize("name", MODELS)
def test_evidence_is_the_gradient_of_the_margin_times_the_difference(name):
    algo, space, actions, kwargs = MODELS[name]
    model = build(algo, space, actions, **kwargs)
    wake(model.policy)
    observations = all_present(samples(space)) if space is HERD else samples(space)
    passed, taken = passed_of(model, observations)
    evidence = Evidence(model.policy)
    evidence.means.update(passed.tokens[evidence.role])
    found = evidence.of(passed, taken)
    N_all, M = len(evidence.inputs.layout), evidence.components
    assert found.values.shape == (B, M, N_all)
    assert (1 if actions is None else 2 if actions is MULTI else 3) == M
    assert torch.isfinite(found.values).all() and (found.values != 0).any()
    # by finite differences in double precision, on the way from the baseline, token by token
    tokens, state = double(passed.tokens[evidence.role]), passed.recurrent_state
    state = None if state is None else tuple(part.double() for part in state)
    model.policy.double()
    for i, part in enumerate(evidence.inputs.parts):
        for place in (0, len(part.index) - 1):
            moved = []
            for step in (1e-6, -1e-6):
                values = tokens[i].values.clone()
                values[:, place] += step * (values[:, place] - evidence.means.baseline[i][place])
                own = tokens[i]._replace(values=values)
                with torch.no_grad():
                    changed = (*tokens[:i], own, *tokens[i + 1 :])
                    moved.append(evidence.margins(changed, taken, None, state))
            slope = (moved[0] - moved[1]) / 2e-6
            here = found.values[:, :, part.index[place]].double()
            torch.testing.assert_close(here, slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["PPO Box", "PPO stock", "SAC", "TD3"])
def test_evidence_of_a_linear_policy_is_complete(name):
    algo, space, actions, kwargs = MODELS[name]
    space = NUMBERS
    net = dict(net_arch=dict(pi=[], vf=[]) if algo is PPO else dict(pi=[], qf=[8]))
    model = build(algo, space, actions, **kwargs, **net)  # even gates are linear
    passed, taken = passed_of(model, samples(space))
    evidence = Evidence(model.policy)
    evidence.means.update(passed.tokens["actor"])
    found = evidence.of(passed, taken)
    mean = tuple(Tokens(mean.expand(B, *mean.shape), None) for mean in evidence.means.baseline)
    at_mean = evidence.margins(mean, taken).detach()
    if algo is TD3:  # margins are of the mean before its tanh
        expected = torch.atanh(torch.as_tensor(taken) / 2)
        torch.testing.assert_close(found.margin, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.values.sum(2), found.margin - at_mean, rtol=1e-4, atol=1e-4)


def test_margins_by_hand():
    kind = Evidence(build(PPO, NUMBERS, MULTI).policy).adapter.kind
    from attention_agents.policies.inspect.action_distribution import PolicyOutputs, QValues

    logits = torch.tensor([[1.0, 2.0, 3.0, 0.5, -0.5]])
    margins = kind.margins(PolicyOutputs(logits), torch.tensor([[2, 1]]))
    expected = [3 - np.log(np.e + np.e**2), -1.0]
    np.testing.assert_allclose(margins[0].tolist(), expected, rtol=1e-6)
    bits = Evidence(build(PPO, NUMBERS, BITS).policy).adapter.kind
    margins = bits.margins(
        PolicyOutputs(torch.tensor([[1.0, 2.0, -3.0]])), torch.tensor([[1, 0, 1]])
    )
    assert margins.tolist() == [[1.0, -2.0, -3.0]]
    q = QValues().margins(PolicyOutputs(torch.tensor([[1.0, 5.0, 2.0]])), torch.tensor([2]))
    assert q.tolist() == [[-3.0]]


def test_only_valid_choices_are_rivals_and_a_single_one_leaves_evidence_undefined():
    model = build(MaskablePPO, NUMBERS, **gated())
    valid = np.array([[True, True, False, False], [False, False, True, False], [True] * 4])
    passed, taken = passed_of(model, samples(NUMBERS), action_masks=valid)
    evidence = Evidence(model.policy, "zero")
    found = evidence.of(passed, taken, torch.as_tensor(valid))
    assert torch.isnan(found.values[1]).all() and torch.isnan(found.margin[1]).all()
    assert torch.isfinite(found.values[[0, 2]]).all()
    logits = model.policy.action_net(
        model.policy.mlp_extractor.forward_actor(passed.features["actor"])
    )
    first = int(taken[0])
    torch.testing.assert_close(found.margin[0, 0], logits[0, first] - logits[0, 1 - first])


def test_absent_tokens_have_no_evidence():
    model = build(PPO, HERD, **attentive())
    herds = all_present(samples(HERD))
    herds[1, 2] = 0
    passed, taken = passed_of(model, herds)
    found = Evidence(model.policy, "zero").of(passed, taken)
    assert found.values[1, 0, 2] == 0
    assert (found.values[[0, 2]] != 0).all()


def test_a_pointer_with_one_entity_has_nothing_to_choose():
    model = build(PPO, HERD, policy=PointerPolicy)
    herds = all_present(samples(HERD))
    herds[1, 1:] = 0
    passed, taken = passed_of(model, herds)
    found = Evidence(model.policy, "zero").of(passed, taken)
    assert torch.isnan(found.values[1]).all()
    assert torch.isfinite(found.values[[0, 2]]).all()


def test_evidence_leaves_no_trace():
    model = build(PPO, HERD, policy=PointerPolicy)
    wake(model.policy)
    herds = all_present(samples(HERD))
    with AttentionTap(model.policy) as tap:
        passed, taken = passed_of(model, herds)
        parameters = {name: p.clone() for name, p in model.policy.state_dict().items()}
        model.policy.set_training_mode(True)
        random = torch.get_rng_state()
        with torch.inference_mode():
            inside = Evidence(model.policy, "zero").of(passed, taken)
        assert torch.equal(torch.get_rng_state(), random)
        assert model.policy.training and model.policy.features_extractor.training
        maps = tap.take()
    assert maps is not None and len(maps.maps[-1].weights) == B  # of the pass, as they were
    assert all(p.grad is None for p in model.policy.parameters())
    for name, value in model.policy.state_dict().items():
        assert torch.equal(value, parameters[name])
    outside = Evidence(model.policy, "zero").of(passed, taken)
    assert torch.equal(inside.values, outside.values)


def test_tokens_captured_in_inference_mode_have_evidence():
    model = build(PPO, NUMBERS, **gated())
    with torch.inference_mode():
        passed, taken = passed_of(model, samples(NUMBERS))
        found = Evidence(model.policy, "zero").of(passed, taken)
    assert torch.isfinite(found.values).all()


def test_one_state_of_a_batch_has_the_evidence_that_it_has_among_others():
    model = build(SAC, NUMBERS, REACH, **gated())
    passed, taken = passed_of(model, samples(NUMBERS))
    evidence = Evidence(model.policy, "zero")
    whole = evidence.of(passed, taken)
    single = evidence.of(passed.select_states(slice(1, 2)), taken[1:2])
    torch.testing.assert_close(single.values[0], whole.values[1])


def test_an_unknown_baseline_and_unknown_means_are_refused():
    model = build(PPO, NUMBERS, **attention_policy_kwargs(PPO, NUMBERS))
    with pytest.raises(ValueError, match="baseline must be 'mean' or 'zero', got 'black'"):
        Evidence(model.policy, "black")
    passed, taken = passed_of(model, samples(NUMBERS))
    with pytest.raises(ValueError, match="the mean of the tokens is not known yet"):
        Evidence(model.policy).of(passed, taken)
