"""One observation, walked from the environment to the action, and on to the picture.

Read this first: it follows the two journeys of docs/architecture.md through every room, with the
shape and the value of what is handed on. World: MiniGrid DoorKey, 5 by 5 tiles, seed 3.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from attention_agents.envs.make import make_env
from attention_agents.envs.token_places import get_token_places
from attention_agents.envs.tokens.spaces import build_layout, choose_specs
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.overlay import Scene

pytest.importorskip("minigrid")

HEADS, WIDTH = 3, 21
KEY, DOOR = 5, 4  # object codes of MiniGrid


@pytest.fixture
def env():
    env = make_env("MiniGrid-DoorKey-5x5-v0", render_mode="rgb_array")
    yield env
    env.close()


@pytest.fixture
def model(env):
    return PPO(
        "MultiInputPolicy",
        env,
        policy_kwargs=dict(
            features_extractor_class=AttentionExtractor,
            features_extractor_kwargs=dict(layers=2, heads=HEADS, width=WIDTH),
        ),
        seed=0,
        device="cpu",
    )


def test_acting(env, model):
    # env -> observation: a Dict of cells and a direction
    obs, _ = env.reset(seed=3)
    assert obs["view"].shape == (7 * 7, 3)
    assert obs["view"].dtype == np.uint8
    assert set(obs["view"][:, 0]) >= {KEY, DOOR}

    # observation space -> token layout: what each token is, in one fixed order
    layout = build_layout(choose_specs(env.observation_space))
    view = next(group for group in layout.groups if group.key == "view")
    assert len(layout) == 49 + 1
    assert (view.kind, view.grid) == ("cells", (7, 7))
    assert view.names[6 * 7 + 3] == "row 6 col 3"  # the agent stands here and looks up

    # observation -> tokens: (B, N, D), none absent
    extractor = model.policy.features_extractor
    assert extractor.layout == layout
    tensors, _ = model.policy.obs_to_tensor(obs)
    seen = {
        "direction": torch.nn.functional.one_hot(tensors["direction"].long().view(-1), 4).float(),
        "view": tensors["view"].float(),
    }
    tokens = extractor.tokenizer(seen)
    assert tokens.values.shape == (1, 50, WIDTH)
    assert tokens.mask is None

    # tokens -> encoder -> readout -> features: (B, D)
    features = extractor.encoder(tokens)
    assert features.shape == (1, WIDTH)

    # features -> SB3's heads -> action; the tap hears the very pass that chose it
    with AttentionTap(model.policy) as tap:
        action, _ = model.predict(obs, deterministic=True)
        heard = tap.take()
    assert env.action_space.contains(int(action))
    torch.testing.assert_close(heard.features["actor"], features.detach(), atol=0, rtol=0)
    blocks, readout = heard.maps
    assert blocks.weights.shape == (1, HEADS, 50, 50)
    assert readout.weights.shape == (1, HEADS, 1, 50)
    for one in heard.maps:
        torch.testing.assert_close(one.weights.sum(-1), torch.ones(one.weights.shape[:-1]))
    with torch.no_grad():
        logits = model.policy.get_distribution(tensors).distribution.logits
    assert int(action) == int(logits.argmax())


def test_watching(env, model, tmp_path):
    # recording: any loop steps the wrapped environment
    watched = RecordAttention(env, model, tmp_path / "seen")
    obs, _ = watched.reset(seed=3)
    action, _ = model.predict(obs, deterministic=True)
    places = get_token_places(env, model.policy.features_extractor.layout, (160, 160, 3))
    grid = env.unwrapped.grid.copy()
    watched.step(action)
    watched.close()
    recording = open_recording(tmp_path / "seen")
    header, step = recording.header, recording.episodes[0][0]

    # recording on disk -> step: what the policy saw, did and attended to
    assert header.layout == model.policy.features_extractor.layout
    assert header.action_names[2] == "forward"
    np.testing.assert_array_equal(step.observation["view"], obs["view"])
    with torch.no_grad():
        distribution = model.policy.get_distribution(model.policy.obs_to_tensor(obs)[0])
    np.testing.assert_allclose(step.distribution, distribution.distribution.probs[0], atol=1e-6)
    assert int(step.action) == int(action) == int(step.distribution.argmax())
    weights = step.maps["actor/1"]
    assert weights.shape == (HEADS, 1, 50)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=50 / 255)

    # token -> place: each cell of the view at its tile of the frame, 5 tiles of 32 pixels
    assert step.frame.shape == (160, 160, 3)
    np.testing.assert_array_equal(step.places.boxes, places.boxes)
    keys = [group.key for group in header.layout.groups]
    view = header.layout.slices[keys.index("view")]
    key = view.start + int(np.flatnonzero(obs["view"][:, 0] == KEY)[0])
    x, y = next(
        (x, y) for x in range(5) for y in range(5) if getattr(grid.get(x, y), "type", 0) == "key"
    )
    tile = np.array([32 * x, 32 * y, 32 * x + 32, 32 * y + 32])
    np.testing.assert_array_equal(step.boxes[key], tile)

    # place -> picture: light the key's token by hand, and exactly its tile changes
    stage = Scene(header, step).attended_frame
    lit = np.zeros(50, np.float32)
    dark = np.asarray(stage.render(step, lit)).astype(int)
    lit[key] = 1
    changed = (np.asarray(stage.render(step, lit)).astype(int) != dark).any(-1)
    x0, y0, x1, y1 = (tile * stage.factor).astype(int)
    expected = np.zeros_like(changed)
    expected[y0:y1, x0:x1] = True
    np.testing.assert_array_equal(changed, expected)
