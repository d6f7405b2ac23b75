"""Which family a policy is read as."""

from __future__ import annotations

import pytest
import torch

from attention_agents.policies.inspect.policy_adapter import adapter_of, find_adapter


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="Linear is made in a way that is not known"):
        adapter_of(torch.nn.Linear(1, 1))
    assert find_adapter(torch.nn.Linear(1, 1)) is None
