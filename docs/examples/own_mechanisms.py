"""A score, a normalizer and a readout of one's own, each with a name; see docs/extending.md."""

import argparse

import torch
from stable_baselines3 import PPO
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.plugin_api import (
    NORMALIZERS,
    READOUTS,
    SCORES,
    AttentionConfig,
    LayerContext,
    Normalizer,
    QueryAttention,
    Readout,
    Score,
    SelfAttention,
    Tokens,
)
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.testkit import check_mechanism, layer_context


@SCORES.register("distance", "minus the squared distance of q and k, with a learned width per head")
class Distance(Score):
    """`-exp(sharpness) * ((q - k) ** 2).sum() / sqrt(K)`: near keys answer best."""

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.sharpness = nn.Parameter(torch.zeros(context.heads, 1, 1))

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        gap = q[:, :, :, None] - k[:, :, None]  # (B, H, Q, N, K)
        return -self.sharpness.exp() * gap.square().sum(-1) * self.scale


@NORMALIZERS.register("softplus", "softmax with linear growth in place of exponential; sums to 1")
class Softplus(Normalizer):
    """`softplus(scores) / softplus(scores).sum(-1)` over the visible tokens, by way of logarithms.

    Below -15, `log(softplus(scores))` is the score itself, to 2e-7.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.softmax = NORMALIZERS["softmax"](context)

    def forward(self, scores: Tensor, visible: Tensor | None) -> Tensor:
        logs = F.softplus(scores.clamp(min=-15)).log()
        return self.softmax(torch.where(scores < -15, scores, logs), visible)


@READOUTS.register("mean-query", "the mean of the tokens is the query")
class MeanQuery(Readout):
    """Read the tokens with one query, which is their mean."""

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.attention = QueryAttention(context, "readout", query_source="mean")

    def forward(self, tokens: Tokens) -> Tensor:
        x, mask, _ = tokens
        present = torch.ones_like(x[:, :, :1]).bool() if mask is None else mask[:, :, None]
        count = present.sum(1, keepdim=True).clamp(min=1)
        query = torch.where(present, x, 0.0).sum(1, keepdim=True) / count  # (B, 1, D)
        return (query + self.attention(query, tokens))[:, 0]  # (B, D)


def check_mechanisms() -> None:
    """Check what every mechanism must hold to, as a test of yours would."""
    for attention in (AttentionConfig(score="distance"), AttentionConfig(normalizer="softplus")):
        context = layer_context(heads=3, attention=attention)
        check_mechanism(lambda context=context: SelfAttention(context), context)
    context = layer_context(heads=3, query_tokens=None)
    check_mechanism(lambda: MeanQuery(context), context, order="invariant")


def main(timesteps: int) -> None:
    check_mechanisms()
    model = PPO(
        "MlpPolicy",
        "CartPole-v1",
        policy_kwargs={
            "features_extractor_class": AttentionExtractor,
            "features_extractor_kwargs": {
                "attention": AttentionConfig(score="distance", normalizer="softplus"),
                "readout": "mean-query",
            },
        },
        device="cpu",
        seed=0,
    )
    model.learn(timesteps)
    print(f"checked, and learned for {model.num_timesteps} steps")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timesteps", type=int, default=20_000)
    main(parser.parse_args().timesteps)
