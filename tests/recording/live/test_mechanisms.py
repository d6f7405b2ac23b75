"""Every kind of attention is recorded as it was: weights, choice, heads, and what they are over."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from torch import nn

from attention_agents.envs.tokens.spaces import Entities, TokenBox
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.blocks.block import Block
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.tokens import Tokens
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.overlay import compose

N, H, STEPS = 5, 3, 7


class Crowd(gym.Env):
    """Five entities, some of which are absent; the third and fourth steps have none at all."""

    observation_space = TokenBox(
        -1, 1, (N, 3), tokens=Entities(N, ("presence", "x", "y"), presence=0, ego=1)
    )
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._observed(), {}

    def step(self, action):
        self.steps += 1
        return self._observed(), float(action), False, False, {}

    def _observed(self):
        rows = self.np_random.normal(size=(N, 3)).clip(-1, 1).astype(np.float32)
        rows[:, 0] = self.np_random.random(N) < 0.7
        if self.steps in (2, 3):
            rows[:, 0] = 0
        return rows


def build(share: bool = True, **encoder: object) -> PPO:
    kwargs = dict(
        features_extractor_class=AttentionExtractor,
        features_extractor_kwargs=dict(layers=2, heads=H, width=12, num_queries=2) | encoder,
        share_features_extractor=share,
    )
    torch.manual_seed(0)
    model = PPO("MlpPolicy", Crowd(), policy_kwargs=kwargs, seed=0, device="cpu")
    with torch.no_grad():
        for parameter in model.policy.features_extractor.parameters():
            parameter += 0.3 * torch.randn_like(parameter)  # scores differ, gates and heads too
    return model


def play(model, env):
    """Return the actions of a few steps, and what a tap of our own hears of each."""
    happened = []
    torch.manual_seed(1)
    with AttentionTap(model.policy) as tap:
        obs, _ = env.reset(seed=2)
        for _ in range(STEPS):
            action, _ = model.predict(obs)
            happened.append((int(action), {one.name: one for one in tap.take().maps}, obs))
            obs, *_ = env.step(action)
    return happened


def mean_of_queries(weights, present):
    """The mean row of each head, over present queries that read something; a plain loop."""
    means = np.zeros((weights.shape[0], 1, weights.shape[2]))
    for head, rows in enumerate(weights):
        read = [row for query, row in enumerate(rows) if present[query] and row.any()]
        if read:
            means[head, 0] = np.mean(read, axis=0)
    return means


def check(model, folder, full=False, map_dtype="uint8"):
    """Record, read back, and compare with what was live; return the recording."""
    plain = play(model, Crowd())
    recorder = RecordAttention(Crowd(), model, folder, full=full, map_dtype=map_dtype)
    live = play(model, recorder)
    recorder.close()
    assert [action for action, *_ in live] == [action for action, *_ in plain]
    recording = open_recording(folder)
    assert len(recording.episodes[0]) == STEPS
    for step, (_, heard, obs) in zip(recording.episodes[0], live, strict=True):
        np.testing.assert_array_equal(step.mask, obs[:, 0] > 0)
        assert step.attended
        own, rolled = split(recording.header.maps)
        assert [spec.name for spec in own] == list(heard)
        for spec in own:
            same_map(recording.header, step, spec, heard[spec.name])
        for spec in rolled:
            same_rollout(recording.header, step, spec, list(heard.values()))
        compose(step, recording.header)
    return recording


def split(specs):
    """Return the maps of modules, and the rollout where there is one."""
    rolled = [spec for spec in specs if spec.derived == "rollout"]
    return [spec for spec in specs if spec not in rolled], rolled


def same_rollout(header, step, spec, heard):
    """Check a rollout against one computed token by token from the live maps, in float64."""
    present, last = step.mask, heard[-1]
    assert spec.layer == last.layer and header.maps[-1] == spec
    if last.queries == "readout":
        mean = mean_of_queries(last.weights[0].double().numpy(), np.ones(99))[:, 0]
        counts = np.ones(len(mean)) if last.heads is None else last.heads.double().numpy()
        row = sum(count * head for count, head in zip(counts / counts.sum(), mean, strict=True))
        heard = heard[:-1]
    else:
        row = present / max(present.sum(), 1)
    reached, extras = row[:N], row[N:]
    for one in reversed(heard):
        weights = one.weights[0].double().numpy()
        counts = np.ones(len(weights)) if one.heads is None else one.heads.double().numpy()
        below = np.zeros(N)
        for q in range(N):
            mean = sum(c * w[q] for c, w in zip(counts / counts.sum(), weights, strict=True))
            passed = reached[q] / (1 + mean.sum())
            below[q] += passed
            for k in range(N):
                below[k] += passed * mean[k]
        reached = below
    expected = np.concatenate([reached, extras])
    bytes_ = header.storage_dtype(spec) == "uint8"
    bound = expected.max() / 255 + 1e-6 if bytes_ else 1e-5
    np.testing.assert_allclose(step.maps[spec.name][0, 0], expected, rtol=0, atol=bound)
    assert not step.maps[spec.name][0, 0, :N][~present].any()


def same_map(header, step, spec, one):
    """Check one map of a step against the live one."""
    assert (spec.queries, spec.keys, spec.extra_keys) == (one.queries, one.keys, one.extra_keys)
    assert (spec.normalized_over, spec.part) == (one.normalized_over, one.part)
    assert (spec.query_source, spec.mechanism) == (one.query_source, one.mechanism)
    for stored, weights in ((step.maps, one.weights), (step.soft, one.soft)):
        if weights is None:
            assert spec.name not in stored and not spec.soft
            continue
        own = weights[0].numpy()
        if spec.derived:
            own = mean_of_queries(own, step.mask)
        read = stored[spec.name]
        assert read.shape == own.shape == header.map_shape(spec)
        bytes_ = header.storage_dtype(spec) == "uint8"
        bound = np.abs(own).max(-1, keepdims=True) / 255 + 1e-7 if bytes_ else 1e-5
        assert (np.abs(read - own) <= bound).all()
        np.testing.assert_array_equal(read != 0, own != 0)
    if one.heads is None:
        assert step.heads[spec.name] is None
    else:
        np.testing.assert_array_equal(step.heads[spec.name], one.heads.numpy())
    if spec.keys == "tokens":
        asking = step.mask if spec.queries == "tokens" else np.ones(one.weights.shape[2], bool)
        read = (one.weights[0].numpy()[:, asking, :N] != 0).any((0, 1)) & step.mask
        assert step.shares[spec.name] == pytest.approx(read.sum() / max(step.mask.sum(), 1))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("map_dtype", ["uint8", "float32"])
@pytest.mark.parametrize("readout", ["query", "ego", "mean"])
def test_the_default_attention(tmp_path, full, map_dtype, readout):
    recording = check(build(readout=readout), tmp_path / "seen", full, map_dtype)
    first = recording.header.maps[0]
    assert (first.query_count, first.key_count) == (N if full else 1, N)
    assert first.derived == ("" if full else "mean over queries")
    assert recording.header.maps[-1].derived == "rollout"


class Fake(TappableAttention):
    """Attention of any kind, which changes nothing.

    Weights come from the tokens by a plain product; `kind` says what is made of them.
    """

    KINDS = {
        "square": dict(queries="tokens"),
        "extra key": dict(queries="readout", extra_keys=("CLS",), query_source="CLS"),
        "square with an extra key": dict(queries="tokens", extra_keys=("CLS",)),
        "slots": dict(queries="slots", normalized_over="queries"),
        "gates": dict(queries="tokens", normalized_over="none"),
        "below 0": dict(queries="readout", normalized_over="none"),
        "hard": dict(queries="tokens"),
        "hard readout": dict(queries="readout"),
        "weighted heads": dict(queries="tokens"),
        "channels": dict(queries="pooled tokens", keys="channels", normalized_over="none"),
        "in": dict(queries="inducing points", part="in"),
        "out": dict(queries="tokens", keys="inducing points", part="out"),
        "steps": dict(queries="steps"),
        "asking tokens": dict(queries="asking tokens", query_source="goal"),
        "one token chooses": dict(queries="tokens", normalized_over="queries"),
    }

    def __init__(self, kind: str):
        super().__init__()
        self.kind, self.heads = kind, H
        for name, value in self.KINDS[kind].items():
            setattr(self, name, value)
        generator = torch.Generator().manual_seed(7)
        self.q = nn.Parameter(torch.randn(H, 7, 12, generator=generator))

    def forward(self, tokens: Tokens) -> Tokens:
        if self.listeners:
            self.report(self.heard(tokens))
        return tokens

    def heard(self, tokens: Tokens) -> AttentionWeights:
        x, mask = tokens.values, tokens.mask
        rows = self.q[:, :2] @ x[:, None].transpose(-2, -1)  # (B, H, 2, N)
        if self.queries in ("tokens", "readout"):
            rows = (x @ self.q[:, 0, :, None] @ x[:, None, :, :1].transpose(-2, -1)).tanh() * 9
        if self.queries == "readout":
            rows = rows[:, :, :1]
        if self.keys != "tokens":
            count = 7 if self.keys == "channels" else 2
            rows = rows[..., :1] * torch.arange(1.0, count + 1)
            rows = rows[:, :, :1] if self.keys == "channels" else rows
        if self.extra_keys:
            rows = torch.cat([rows, rows[..., :1]], -1)
            mask = None if mask is None else nn.functional.pad(mask, (0, 1), value=True)
        soft = None
        weights = rows.softmax(-2 if self.normalized_over == "queries" else -1)
        weights = rows.sigmoid() if self.normalized_over == "none" else weights
        weights = rows if self.kind == "below 0" else weights
        if self.keys == "tokens" and mask is not None:
            weights = torch.where(mask[:, None, None], weights, 0.0)
        if "hard" in self.kind:
            soft, best = weights, weights >= weights.topk(2, -1).values[..., -1:]
            weights = torch.where(best, weights, 0.0)
        heads = torch.tensor([0.5, 0.7, 1.8]) if self.kind == "weighted heads" else None
        return AttentionWeights(weights, tokens.mask, soft, heads)


class Standing(Block):
    """A block that holds fake attention beside the real one."""

    def __init__(self, kinds, block):
        nn.Module.__init__(self)
        self.fakes, self.block = nn.ModuleList(Fake(kind) for kind in kinds), block

    def forward(self, tokens):
        for fake in self.fakes:
            tokens = fake(tokens)
        return tokens if self.block is None else self.block(tokens)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", Fake.KINDS)
def test_any_kind_of_attention(tmp_path, kind, full):
    model = build()
    blocks = model.policy.features_extractor.encoder.blocks
    blocks[0] = Standing([kind], None)
    maps = check(model, tmp_path / "seen", full).header.maps
    spec = maps[0]
    assert bool(split(maps)[1]) == (kind in ("square", "hard", "weighted heads"))
    squares = ("square", "square with an extra key", "gates", "hard", "weighted heads")
    assert bool(spec.derived) == (kind in squares and not full)
    assert spec.soft == ("hard" in kind)
    assert spec.head_weights == (kind == "weighted heads")


def test_all_kinds_at_once(tmp_path):
    model = build()
    blocks = model.policy.features_extractor.encoder.blocks
    for kind in Fake.KINDS:
        blocks.append(Standing([kind], None))
    blocks.append(Standing(["in", "out"], None))
    assert len(check(model, tmp_path / "seen").header.maps) == 2 + len(Fake.KINDS) + 2


def test_a_channel_map_does_not_hide_which_tokens_are_present(tmp_path):
    """With gates over channels alone, no map tells the mask; the tokens of the pass do."""
    model = build(readout="mean", layers=1)
    model.policy.features_extractor.encoder.blocks[0] = Standing(["channels"], None)
    (spec,) = check(model, tmp_path / "seen").header.maps
    assert spec.keys == "channels"


class Pointing(TappableAttention):
    """An action head whose probabilities are its weights over the actions."""

    queries, keys, part, heads = "readout", "actions", "pointer", 1

    def __init__(self, width):
        super().__init__()
        self.logits = nn.Linear(width, 3)

    def forward(self, latent):
        logits = self.logits(latent)
        if self.listeners:
            self.report(AttentionWeights(logits.softmax(-1)[:, None, None], None))
        return logits


def test_attention_of_the_action_head_is_recorded(tmp_path):
    model = build()
    model.policy.action_net = Pointing(model.policy.mlp_extractor.latent_dim_pi)
    recording = check(model, tmp_path / "seen")
    spec = recording.header.maps[-1]
    assert (spec.name, spec.keys, spec.key_count) == ("actor/2/pointer", "actions", 3)
    for step in recording.episodes[0]:
        np.testing.assert_allclose(step.maps[spec.name][0, 0], step.distribution, atol=1 / 255)


def test_a_pass_that_chose_no_action_is_not_taken_for_one(tmp_path):
    """The critic was asked last: the extractor ran, and the action head did not."""
    model = build()
    model.policy.action_net = Pointing(model.policy.mlp_extractor.latent_dim_pi)
    env = RecordAttention(Crowd(), model, tmp_path / "seen")
    obs, _ = env.reset(seed=1)
    action, _ = model.predict(obs)
    model.policy.predict_values(torch.as_tensor(obs)[None])
    env.step(action)
    env.close()
    (step,) = open_recording(tmp_path / "seen").episodes[0]
    assert not step.attended
    assert not any(weights.any() for weights in step.maps.values())


def test_an_action_of_ones_own_has_no_soft_weights_either(tmp_path):
    model = build()
    blocks = model.policy.features_extractor.encoder.blocks
    blocks[0] = Standing(["hard", "weighted heads", "channels"], None)
    for index, fake in enumerate(blocks[0].fakes):
        fake.part = str(index)
    env = RecordAttention(Crowd(), model, tmp_path / "seen")
    env.reset(seed=1)
    env.step(0)
    env.close()
    (step,) = open_recording(tmp_path / "seen").episodes[0]
    assert not step.attended
    assert not any(weights.any() for weights in (*step.maps.values(), *step.soft.values()))
    assert set(step.heads.values()) == {None} and set(step.shares.values()) == {0.0}


REAL = [
    *(dict(attention=AttentionConfig(score=s)) for s in ("additive", "general", "dot", "cosine")),
    *(dict(attention=AttentionConfig(normalizer=n)) for n in ("entmax15", "sparsemax", "sigmoid")),
    *(
        dict(attention=AttentionConfig(hard_attention=h, top_k=2))
        for h in ("top-k", "gumbel", "perturbed-top-k")
    ),
    *(dict(attention=AttentionConfig(head_mixing=mix)) for mix in ("weighted", "talking")),
    dict(
        attention=AttentionConfig(
            normalizer="sigmoid", hard_attention="top-k", top_k=2, head_mixing="talking"
        )
    ),
    *(dict(block=block) for block in ("sab", "isab", "gtrxl", "channel")),
    *(dict(readout=readout) for readout in ("cls", "slots", "queries", "votes")),
    dict(block="isab", readout="cls", attention=AttentionConfig(normalizer="entmax15")),
    dict(block="channel", readout="mean"),
]


@pytest.mark.parametrize("words", REAL, ids=str)
def test_the_mechanisms_of_the_library(tmp_path, words):
    recording = check(build(**words), tmp_path / "seen")
    mechanism = words.get("attention", AttentionConfig())
    for spec in split(recording.header.maps)[0]:
        assert spec.soft == (mechanism.hard_attention != "none")
        assert spec.head_weights == (mechanism.head_mixing == "weighted")
