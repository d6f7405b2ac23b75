"""Distances between outputs, and what a recording holds of them, on numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from attention_agents.policies.inspect.action_distribution import (
    CategoricalActions,
    DeterministicActions,
    GaussianActions,
    PolicyOutputs,
    QValues,
)

BOX = spaces.Box(np.array([-2, 0], "f"), np.array([2, 1], "f"))


def test_divergences_are_those_of_torch():
    torch.manual_seed(0)
    parts = CategoricalActions(spaces.MultiDiscrete([3, 2]), bernoulli=False)
    a, b = PolicyOutputs(torch.randn(4, 5)), PolicyOutputs(torch.randn(4, 5))
    expected = sum(
        torch.distributions.kl_divergence(
            torch.distributions.Categorical(logits=p), torch.distributions.Categorical(logits=q)
        )
        for p, q in zip(a.params.split([3, 2], 1), b.params.split([3, 2], 1), strict=True)
    )
    torch.testing.assert_close(parts.distance(a, b, torch.zeros(4, 2)), expected)
    gaussians = GaussianActions(BOX, tanh=False, scaled=False)
    a = PolicyOutputs(torch.randn(4, 2), torch.rand(4, 2) + 0.1)
    b = PolicyOutputs(torch.randn(4, 2), torch.rand(4, 2) + 0.1)
    normals = [torch.distributions.Normal(x.params, x.std) for x in (a, b)]
    expected = torch.distributions.kl_divergence(*normals).sum(1)
    torch.testing.assert_close(gaussians.distance(a, b, torch.zeros(4)), expected)


def test_changes_of_q_values_and_of_points_by_hand():
    q = QValues()
    a, b = PolicyOutputs(torch.tensor([[1.0, 5.0]])), PolicyOutputs(torch.tensor([[4.0, 5.5]]))
    assert q.distance(a, b, torch.tensor([0])).item() == 3
    assert q.distance(a, b, torch.tensor([1])).item() == 0.5
    assert q.distance_scale(a) == 2
    points = DeterministicActions(BOX, tanh=False, scaled=True)
    a, b = PolicyOutputs(torch.tensor([[-1.0, 0.5]])), PolicyOutputs(torch.tensor([[1.0, 0.5]]))
    assert points.distance(a, b, torch.zeros(1)).item() == 1  # a whole range, squared
    np.testing.assert_allclose(points.likeliest_actions(a), [[-2, 0.75]])
    before, after = np.array([[0.0, 0.5]] * 3), np.array([[0.1, 0.5], [0.3, 0.5], [0, 0.6]])
    assert points.actions_changed(before, after).tolist() == [
        False,
        True,
        True,
    ]  # 5% of 4 is 0.2, of 1 is 0.05


def test_a_bit_is_one_logit_or_one_for_each_choice():
    bits = spaces.MultiBinary(2)
    one, two = CategoricalActions(bits, bernoulli=True), CategoricalActions(bits, bernoulli=False)
    a = PolicyOutputs(torch.tensor([[0.3, -2.0]]))
    b = PolicyOutputs(torch.tensor([[1.0, 1.3, 2.0, 0.0]]))
    for kind, outputs in ((one, a), (two, b)):
        p = torch.tensor([[0.3, -2.0]]).sigmoid()
        np.testing.assert_allclose(kind.distribution(outputs), p, atol=1e-6)
        np.testing.assert_allclose(kind.compact_distribution(outputs), p, atol=1e-3)
        assert kind.likeliest_actions(outputs).tolist() == [[1, 0]]
        taken = torch.tensor([[1, 1]])
        expected = float(p.log().sum())
        assert kind.gradient_targets(outputs, taken).item() == pytest.approx(expected, abs=1e-5)


def test_squashed_actions_are_recorded_in_the_units_of_the_environment():
    outputs = PolicyOutputs(torch.tensor([[0.5, -0.2]]), torch.tensor([[0.1, 0.4]]))
    rows = GaussianActions(BOX, tanh=True, scaled=True).distribution(outputs)[0]  # (3, A)
    means = np.tanh([[0.5, -0.2], [0.4, -0.6], [0.6, 0.2]])
    np.testing.assert_allclose(rows, [-2, 0] + 0.5 * (means + 1) * [4, 1], atol=1e-6)
    clipped = GaussianActions(BOX, tanh=False, scaled=False).distribution(outputs)[0]
    np.testing.assert_allclose(clipped, [[0.5, 0], [0.4, 0], [0.6, 0.2]], atol=1e-6)
