"""Record evidence and attention of a policy, while any loop steps its environment.

Both are of the pass that chose the action: maps from the tap, evidence from that pass's own tokens,
by a gradient in a graph of its own. Recording changes no action, no reward, no weight and no random
stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
import torch

from attention_agents.envs.token_places import get_token_places
from attention_agents.envs.tokens.layout import TokenPlaces
from attention_agents.policies.inspect.policy_adapter import FeaturePass, Observations
from attention_agents.policies.inspect.tap import AttentionMap
from attention_agents.recording.header import Header
from attention_agents.recording.live.header import (
    build_header,
    critic_maps,
    map_spec,
    name_numbers,
)
from attention_agents.recording.live.pass_listener import ListenedPass, PassListener
from attention_agents.recording.live.policy_estimate import (
    UNKNOWN,
    PolicyEstimate,
    ValidActions,
    pass_reader_of,
)
from attention_agents.recording.live.step_evidence import BATCH, EvidenceBaseline
from attention_agents.recording.map_spec import MapSpec, stored_rows
from attention_agents.recording.rollout import RolloutChain, build_rollout_chain
from attention_agents.recording.step import Step
from attention_agents.recording.writer import RecordingWriter

ENVIRONMENT_FIELDS = ("env_id", "action_names", "picture", "fps")
"""Fields of a header that depend on the environment, and not on the policy."""


class EnvSnapshot(NamedTuple):
    """An environment before an action."""

    observation: Any
    """As the environment gave it, copied."""
    frame: np.ndarray | None
    """(height, width, 3) uint8; None where nothing is rendered."""
    places: TokenPlaces


class RecordAttention(gym.Wrapper):
    """Record the episodes of an environment, and why the policy that plays it acts as it does.

    Evidence says what spoke for each action and what against it; attention, where the policy has
    some, from where it may take information. Policies of Stable-Baselines3 without any attention
    are recorded too, with evidence at the numbers or at the cells of the last convolution.

        env = RecordAttention(gym.make("CartPole-v1", render_mode="rgb_array"), model, "seen")
        obs, info = env.reset(seed=1)
        done = False
        while not done:
            action, _ = model.predict(obs, deterministic=True)
            obs, reward, terminated, truncated, info = env.step(action)
            done = terminated or truncated
        env.close()  # `recording.open_recording("seen")` reads it

    Args:
        env: with `render_mode="rgb_array"` frames are recorded too.
        model: an SB3 algorithm (anything with a `policy`), with attention or without.
        folder: of the new recording; made when missing, must be empty.
        full: store maps from tokens to tokens as whole matrices; else their mean over queries. All
            other maps are stored whole.
        map_dtype: "uint8" (off by at most 1/508 of the largest weight of a row) or "float32".
        normalize: what the loop does to an observation before the policy sees it. Observations are
            recorded raw; a critic with an extractor of its own needs it for its value.
        index: which row of the policy's batch belongs to this environment.
        run: name of the run that the policy comes from.
        value_unit: of the critic, such as "normalized"; empty for the rewards' own unit.
        world: the header of another recording, for an environment that plays that one again and
            cannot itself say what it is called, nor its actions.
        evidence: whether evidence is recorded, where the policy's networks are of a known kind.
        baseline: what its tokens are compared with; None: each one's mean over the states recorded
            so far.

    Raises:
        ValueError: the policy has neither attention nor networks of a known kind, or the folder is
            not empty or cannot be written.
    """

    def __init__(
        self,
        env: gym.Env,
        model: Any,
        folder: str | Path,
        *,
        full: bool = False,
        map_dtype: Literal["uint8", "float32"] = "uint8",
        normalize: Callable[[Any], Any] | None = None,
        index: int = 0,
        run: str = "",
        value_unit: str = "",
        world: Header | None = None,
        evidence: bool = True,
        baseline: EvidenceBaseline | None = None,
    ):
        super().__init__(env)
        self._policy = policy = model.policy
        listener = PassListener(policy, evidence, baseline)
        self._listener, self._role, self._layout = listener, listener.role, listener.layout
        if not listener.has_attention:
            self._layout = name_numbers(self._layout, env.observation_space)
        self._reader, self._index = pass_reader_of(policy), index
        self._normalize = normalize if normalize is not None else lambda observation: observation
        probed = listener.probe_maps()
        self._maps = tuple(map_spec(map_, full) for map_ in probed)
        self._critic_maps = critic_maps(policy, self._maps) if probed else ()
        self._chains = _rollout_chains(policy, probed, len(self._layout)) if probed else []
        maps = (*self._maps, *self._critic_maps, *(chain.spec for chain in self._chains))
        header = build_header(
            env, self._layout, maps, self._reader.distribution, map_dtype, listener.evidence
        )
        fields = (
            {} if world is None else {name: getattr(world, name) for name in ENVIRONMENT_FIELDS}
        )
        fields |= {"algo": type(model).__name__.lower(), "run": run, "value_unit": value_unit}
        self._writer = RecordingWriter(folder, replace(header, **fields))
        self._snapshot: EnvSnapshot | None = None
        self._seed: int | None = None
        self._episode_begun, self._steps = False, 0
        listener.attach()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self._end_episode()
        obs, info = self.env.reset(seed=seed, options=options)
        self._listener.take()  # a pass before the reset chooses none of the actions to come
        self._seed = seed
        self._snapshot = self._take_snapshot(obs)
        return obs, info

    def step(self, action: Any):
        acting_pass, snapshot = self._complete_pass(self._listener.take()), self._snapshot
        action_taken = np.array(action)
        estimate, critic_pass, evidence = self._estimate(acting_pass, snapshot, action_taken)
        obs, reward, terminated, truncated, info = self.env.step(action)
        if snapshot is not None:
            if not self._episode_begun:
                self._writer.begin_episode(self._seed)
                self._episode_begun, self._steps = True, 0
            self._steps += 1
            if self._steps % BATCH == 0:  # before the writer has a whole chunk
                self._compute_evidence()
            self._writer.add_step(
                Step(
                    observation=_by_key(snapshot.observation),
                    action=action_taken,
                    frame=snapshot.frame,
                    places=snapshot.places,
                    distribution=estimate.distribution,
                    value=estimate.value,
                    reward=float(reward),
                    terminated=bool(terminated),
                    truncated=bool(truncated),
                    evidence=evidence,
                    **self._attention_fields(acting_pass, critic_pass),
                )
            )
            self._snapshot = self._take_snapshot(obs)
        if terminated or truncated:
            self._end_episode()
        return obs, reward, terminated, truncated, info

    def finish(self) -> None:
        """Finish the recording and let go of the policy, but leave the environment open."""
        self._listener.detach()
        self._end_episode()
        self._writer.close()

    def close(self) -> None:
        """Finish the recording, and let go of the policy and the environment."""
        try:
            self.finish()
        finally:
            super().close()

    def _take_snapshot(self, obs: Any) -> EnvSnapshot:
        frame = _frame(self.env)
        if frame is None:
            places = TokenPlaces.unknown(len(self._layout))
        else:
            places = get_token_places(self.env, self._layout, frame.shape)
        places = TokenPlaces(places.boxes.copy(), places.ids.copy())
        return EnvSnapshot(_copy_observation(obs), frame, places)

    def _compute_evidence(self) -> None:
        if self._listener.evidence is not None:
            self._listener.evidence.compute_pending()

    def _end_episode(self) -> None:
        self._compute_evidence()
        if self._episode_begun and self._snapshot is not None:
            snapshot = self._snapshot
            self._writer.end_episode(_by_key(snapshot.observation), snapshot.frame)
        self._episode_begun, self._snapshot = False, None

    def _estimate(
        self, acting_pass: ListenedPass | None, snapshot: EnvSnapshot | None, action: np.ndarray
    ) -> tuple[PolicyEstimate, ListenedPass | None, np.ndarray | None]:
        """Return the policy's estimate; the pass of a critic with an extractor of its own, where
        that was called for it; and the evidence (M, N) for the action."""
        if acting_pass is None or snapshot is None or self._role not in acting_pass.features:
            return UNKNOWN, None, None
        i = self._index
        batch = len(acting_pass.features[self._role])
        features = {r: f[i : i + 1] for r, f in acting_pass.features.items() if len(f) == batch}

        def observe() -> Observations:
            return self._policy.obs_to_tensor(self._normalize(snapshot.observation))[0]

        with torch.no_grad():
            passed = FeaturePass(features, torch.as_tensor(action)[None], observe)
            valid = self._reader.valid_actions(passed)
            estimate = self._reader.estimate(passed)
        critic_pass = self._listener.take()
        return estimate, critic_pass, self._evidence(acting_pass, action, valid)

    def _evidence(
        self, acting_pass: ListenedPass, action: np.ndarray, valid: ValidActions
    ) -> np.ndarray | None:
        evidence = self._listener.evidence
        if evidence is None or acting_pass.tokens is None or not valid.is_known:
            return None
        return evidence.add_state(acting_pass.tokens, self._index, action, valid.mask)

    def _complete_pass(self, latest: ListenedPass | None) -> ListenedPass | None:
        """Return a pass if it chose an action: then it holds every map that is recorded."""
        if latest is None:
            return None
        names = {map_.name for map_ in latest.maps}
        return latest if names.issuperset(spec.name for spec in self._maps) else None

    def _attention_fields(
        self, acting_pass: ListenedPass | None, critic_pass: ListenedPass | None
    ) -> dict[str, Any]:
        """Return what a step holds of a pass, and of the critic's where that was another; without
        a pass, weights are 0."""
        header = self._writer.header
        if acting_pass is None:
            zeros = {spec.name: _zeros(header, spec) for spec in header.maps}
            return {"maps": zeros, "soft": zeros, "attended": False}
        passes = ((critic_pass, 0), (acting_pass, self._index))
        rows = {m.name: (m, row) for pass_, row in passes if pass_ is not None for m in pass_.maps}
        present, matrices = self._present(acting_pass), {}
        maps, soft, heads = {}, {}, {}
        for spec in (spec for spec in (*self._maps, *self._critic_maps) if spec.name in rows):
            map_, row = rows[spec.name]
            matrices[spec.name] = _row(map_.weights, row)
            maps[spec.name] = stored_rows(matrices[spec.name], spec, present)
            if map_.soft is not None:
                soft[spec.name] = stored_rows(_row(map_.soft, row), spec, present)
            if map_.heads is not None:
                heads[spec.name] = map_.heads.float().cpu().numpy()
        step = Step(observation={}, action=np.zeros(0), maps=matrices, mask=present, heads=heads)
        for chain in self._chains:
            if matrices.keys() >= chain.names:
                maps[chain.spec.name] = chain.compute_row(step)[None, None]
        for spec in header.maps:
            if spec.name not in maps:  # of a critic that was not called
                maps[spec.name] = soft[spec.name] = _zeros(header, spec)
        return {"maps": maps, "soft": soft, "heads": heads, "mask": present}

    def _present(self, acting_pass: ListenedPass) -> np.ndarray:
        """Return which tokens are present in any map: one of a part knows of no others."""
        masks = [map_.mask for map_ in acting_pass.maps if map_.role == self._role]
        rows = [mask[self._index].cpu().numpy() for mask in masks if mask is not None]
        return np.logical_or.reduce(rows) if rows else np.ones(len(self._layout), bool)


def _rollout_chains(policy: Any, maps: Sequence[AttentionMap], tokens: int) -> list[RolloutChain]:
    """Return the chains of layers, of the actor and of the critic, whose rollout is recorded."""
    matrices = [map_spec(map_, full=True) for map_ in maps]
    chains = [
        build_rollout_chain(specs, tokens) for specs in (matrices, critic_maps(policy, matrices))
    ]
    return [chain for chain in chains if not chain.reason]


def _zeros(header: Header, spec: MapSpec) -> np.ndarray:
    return np.zeros(header.map_shape(spec), np.float32)


def _row(batch: torch.Tensor, index: int) -> np.ndarray:
    return batch[index].float().cpu().numpy()


def _frame(env: gym.Env) -> np.ndarray | None:
    if env.render_mode != "rgb_array":
        return None
    rendered = np.asarray(env.render())
    if rendered.ndim != 3 or rendered.shape[2] < 3:
        return None
    return np.array(rendered[..., :3], np.uint8)


def _copy_observation(observation: Any) -> Any:
    """Copy an observation, for environments that write into the same array again."""
    if isinstance(observation, dict):
        return {key: np.array(part) for key, part in observation.items()}
    return np.array(observation)


def _by_key(observation: Any) -> dict[str, np.ndarray]:
    return observation if isinstance(observation, dict) else {"": observation}
