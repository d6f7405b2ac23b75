"""What is fitted to a task: an encoder of this library, and a linear answer on top of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from jaxtyping import Float
from pictures.scene import Observations, Scene
from stable_baselines3.common.preprocessing import preprocess_obs
from torch import Tensor, nn

from attention_agents.policies.inspect.tap import AttentionMap, AttentionTap
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.pointer import PointerPolicy

WIDTH, HEADS = 32, 2
TOKENS, MOST = 3200, 64
"""Tokens in a batch, and observations in it at most."""
RATE, WARM, SEED = 5e-3, 50, 0

Maps = tuple[AttentionMap, ...]


class Model(nn.Module):
    """Answer a task, and tell what was attended to."""

    def forward(self, obs: Observations) -> Float[Tensor, "B ..."]:
        raise NotImplementedError

    def maps(self, obs: Observations) -> Maps:
        """Return what is heard of one pass."""
        raise NotImplementedError


class Reads(Model):
    """Answer from the features of an extractor."""

    def __init__(self, scene: Scene, **options: Any):
        super().__init__()
        self.space = scene.space
        options = {"width": WIDTH, "heads": HEADS, "layers": 1, "readout": "query", **options}
        self.features_extractor = AttentionExtractor(scene.space, **options)
        self.head = nn.Linear(WIDTH, scene.outputs)

    def forward(self, obs: Observations) -> Float[Tensor, "B K"]:
        return self.head(self.features_extractor(preprocess_obs(obs, self.space)))  # type: ignore[arg-type]

    def maps(self, obs: Observations) -> Maps:
        with AttentionTap(self) as tap:
            self(obs)
            return taken(tap)


class EachAnswers(Reads):
    """Let every token answer, from what one block has made of it."""

    def __init__(self, scene: Scene, **options: Any):
        super().__init__(scene, layers=2, **options)

    def forward(self, obs: Observations) -> Float[Tensor, "B N K"]:
        extractor = self.features_extractor
        tokens = extractor.tokenizer(preprocess_obs(obs, self.space))  # type: ignore[arg-type]
        return self.head(extractor.encoder.apply_blocks(tokens).values)

    def maps(self, obs: Observations) -> Maps:
        with AttentionTap(self) as tap:
            self.features_extractor(preprocess_obs(obs, self.space))
            return taken(tap)[:-1]  # the readout has learned nothing


class Points(Model):
    """Answer by the logits of a pointer policy."""

    def __init__(self, scene: Scene):
        super().__init__()
        extractor = {"width": WIDTH, "heads": HEADS, "layers": 2}
        actions = spaces.Discrete(scene.outputs)
        self.policy = PointerPolicy(
            scene.space, actions, lambda _: 0.0, features_extractor_kwargs=extractor
        )

    def forward(self, obs: Observations) -> Float[Tensor, "B A"]:
        assert isinstance(obs, Tensor)
        features = self.policy.extract_features(obs)
        assert isinstance(features, Tensor)
        return self.policy.action_net(self.policy.mlp_extractor.forward_actor(features))

    def maps(self, obs: Observations) -> Maps:
        with AttentionTap(self.policy) as tap:
            self.policy.get_distribution(obs)  # type: ignore[arg-type]
            return taken(tap)


class Fit(NamedTuple):
    """A model that was fitted to a scene, and how far it is off where it has not learned."""

    scene: Scene
    model: Model
    error: float
    """Root mean square in the task's unit; of choices the share that is wrong."""


def fit(scene: Scene, make: Callable[[Scene], Model], steps: int) -> Fit:
    """Fit a model to a task: Adam, its rate rising for 50 steps and falling in the second half."""
    torch.manual_seed(SEED)
    model = make(scene)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: min((t + 1) / WARM, 1.0, 2 * (1 - t / steps))
    )
    dice = torch.Generator().manual_seed(SEED)
    batch = min(MOST, TOKENS // len(scene.layout))
    for _ in range(steps):
        rows = torch.randint(scene.judged, len(scene.answers), (batch,), generator=dice)
        loss = scene.loss(model(scene.batch(rows)), rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    model.eval()
    own = slice(0, scene.judged)
    with torch.no_grad():
        return Fit(scene, model, scene.error(model(scene.batch(own)), own))


def taken(tap: AttentionTap) -> Maps:
    seen = tap.take()
    assert seen is not None, "an extractor ran and its tap heard nothing"
    return seen.maps
