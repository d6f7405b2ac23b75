"""Sparsity adds the gradient of an entropy, once, while the agent learns."""

from __future__ import annotations

import pytest
import torch

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.gate.attention_gate import AttentionGate, GateConfig
from attention_agents.policies.gate.sparsity import add_loss, mean_entropy

B, C, N, H = 7, 6, 5, 3


def trained(sparsity: float, normalizer: str = "softmax") -> AttentionGate:
    torch.manual_seed(0)
    config = GateConfig(heads=H, sparsity=sparsity, floor=0.0)
    gate = AttentionGate(N, C, config, AttentionConfig(normalizer=normalizer))
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return gate


def tokens() -> torch.Tensor:
    return torch.randn(B, C, N, generator=torch.Generator().manual_seed(1))


def gradients(loss: torch.Tensor, gate: AttentionGate) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(gate.parameters())))


@pytest.mark.parametrize("normalizer", ["softmax", "entmax15", "sigmoid"])
def test_the_gradient_is_that_of_the_explicit_loss(normalizer: str) -> None:
    """Two heads follow, as an actor and a critic: the entropy still counts once."""
    sparse, plain = trained(0.3, normalizer).double(), trained(0.0, normalizer).double()
    x = tokens().double()
    features = sparse(x)
    given = gradients(features.square().sum() + features.sin().sum(), sparse)
    weights = plain.weights(x)
    shares = weights / weights.sum(-1, keepdim=True)
    entropy = -(shares * shares.clamp(min=1e-12).log()).sum(-1).mean()
    features = plain(x)
    loss = features.square().sum() + features.sin().sum() + 0.3 * entropy
    torch.testing.assert_close(given, gradients(loss, plain))


def test_it_hands_features_through_and_rests_outside_of_learning() -> None:
    sparse, plain, x = trained(0.3), trained(0.0), tokens()
    assert torch.equal(sparse(x), plain(x))
    sparse.eval()
    loss = sparse(x).square().sum()
    torch.testing.assert_close(gradients(loss, sparse), gradients(plain(x).square().sum(), plain))


def test_a_request_for_sparsity_lifts_the_floor() -> None:
    assert GateConfig(floor=0.25, sparsity=0.01).floor == 0
    assert GateConfig(floor=0.25).floor == 0.25


def test_second_derivatives_are_refused() -> None:
    gate = trained(0.3)
    loss = gate(tokens()).square().sum()
    with pytest.raises(RuntimeError, match="second derivatives, such as TRPO's"):
        torch.autograd.grad(loss, [gate.static], create_graph=True)


def test_entropy_by_hand() -> None:
    weights = torch.tensor([[[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]]])
    torch.testing.assert_close(mean_entropy(weights), torch.tensor(2.0).log() / 2)
    assert mean_entropy(torch.zeros(1, 2, 3)) < 1e-9


def test_add_loss_by_hand() -> None:
    x, w = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor(3.0, requires_grad=True)
    y = add_loss(x, w.square())
    assert torch.equal(y, x)
    (2 * y.sum()).backward()
    assert torch.equal(x.grad, torch.tensor([2.0, 2.0])) and w.grad == 6


def test_it_draws_attention_to_few_tokens() -> None:
    """Features that only need one of five numbers: sparsity closes the others, else they stay."""
    entropies = []
    for sparsity in (0.0, 0.1):
        gate = AttentionGate(N, 1, GateConfig(heads=1, context=False, sparsity=sparsity, floor=0.0))
        out = torch.nn.Linear(N, 1)
        torch.nn.init.constant_(out.weight, 0.2)
        optimizer = torch.optim.Adam([*gate.parameters(), *out.parameters()], 1e-2)
        generator = torch.Generator().manual_seed(0)
        for _ in range(300):
            x = torch.randn(64, 1, N, generator=generator)
            loss = (out(gate(x)[:, 0]) - x[:, 0, :1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        entropies.append(float(mean_entropy(gate.weights(x)).detach()))
    assert entropies[1] < 0.5 * entropies[0]
