"""What readouts are compared with: torch's own attention, and parts of a GRU in plain numpy."""

import numpy as np
import torch
from torch import Tensor, nn

from attention_agents.policies.attention.multi_head import QueryAttention


def torch_attention(ours: QueryAttention) -> nn.MultiheadAttention:
    """Return torch's own attention with the same parameters."""
    D = ours.empty_vector.shape[0]
    theirs = nn.MultiheadAttention(D, ours.heads, batch_first=True)
    with torch.no_grad():
        weights = (ours.query.weight, ours.key.weight, ours.value.weight)
        theirs.in_proj_weight.copy_(torch.cat(weights))
        theirs.in_proj_bias.zero_()[:D] = ours.query.bias
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)
    return theirs


def by_torch(
    attention: QueryAttention, query: Tensor, x: Tensor, read: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what torch's attention gives, and its weights; `read` (B, N) is where it may."""
    theirs = torch_attention(attention)
    return theirs(query, x, x, key_padding_mask=~read, average_attn_weights=False)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def numbers(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: p.detach().double().numpy() for name, p in module.named_parameters()}


def naive_gru(p: dict[str, np.ndarray], x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Take one step of torch's GRU for one sample."""
    gi = p["weight_ih"] @ x + p["bias_ih"]
    gh = p["weight_hh"] @ h + p["bias_hh"]
    D = len(h)
    r, z = sigmoid(gi[:D] + gh[:D]), sigmoid(gi[D : 2 * D] + gh[D : 2 * D])
    n = np.tanh(gi[2 * D :] + r * gh[2 * D :])
    return (1 - z) * n + z * h


def naive_norm(p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * p["weight"] + p["bias"]
