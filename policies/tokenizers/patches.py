"""Patches of a picture as tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.envs.tokens.specs import Patches
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.tokens import Tokens


class PatchTokenizer(nn.Module):
    """Make each output of a small convolutional stem a token, plus where it is.

    A ReLU follows every convolution. Only a stem of one convolution whose kernel equals its stride
    has none: it gives the linear patches of a ViT.

    Source: Xiao et al. 2021, Early convolutions help transformers see better,
        https://arxiv.org/abs/2106.14881; Dosovitskiy et al. 2021, An image is worth 16x16 words,
        section 3.1, https://arxiv.org/abs/2010.11929, for linear patches.
    """

    def __init__(self, spec: Patches, width: int):
        super().__init__()
        self.channels_first = spec.channels_first
        layers: list[nn.Module] = []
        channels = spec.channels
        linear = len(spec.convs) == 1 and spec.convs[0].kernel == spec.convs[0].stride
        for conv in spec.convs:
            layer = nn.Conv2d(channels, conv.channels, conv.kernel, conv.stride, conv.padding)
            nn.init.orthogonal_(layer.weight, gain=1.0 if linear else 2**0.5)
            layer.bias.data.zero_()  # pyright: ignore[reportOptionalMemberAccess]
            layers += [layer] if linear else [layer, nn.ReLU()]
            channels = conv.channels
        self.stem = nn.Sequential(*layers)
        self.project = Projection(channels, width)
        self.place = nn.Parameter(torch.randn(len(spec.token_groups("")[0]), width))

    def forward(self, obs: Float[Tensor, "B ..."]) -> Tokens:
        if obs.dim() == 3:
            obs = obs[:, None]  # (B, 1, height, width)
        elif not self.channels_first:
            obs = obs.permute(0, 3, 1, 2)  # (B, C, height, width)
        patches = self.stem(obs).flatten(2).transpose(1, 2)  # (B, N, C')
        return Tokens(self.project(patches) + self.place, None)
