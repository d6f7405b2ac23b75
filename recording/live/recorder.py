"""Recording what a policy attends to, while any loop steps its environment.

The maps are those of the pass that chose the action, as the tap heard them; recording changes no
action, no reward, no weight and no random stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
import torch

from attention_agents.envs.token_places import get_token_places
from attention_agents.envs.tokens.layout import TokenLayout, TokenPlaces
from attention_agents.policies.inspect.tap import AttentionTap, Pass, extractors_of, rehearse
from attention_agents.recording.format import Header, Step
from attention_agents.recording.live.header import critics_maps, header_of, map_spec
from attention_agents.recording.live.policy_outputs import Judgement, heads_of
from attention_agents.recording.map_spec import MapSpec, stored_rows
from attention_agents.recording.rollout import chain_of
from attention_agents.recording.writer import RecordingWriter

OF_THE_WORLD = ("env_id", "action_names", "picture", "fps")
"""What a header says of the environment, and not of the policy."""
NOTHING = np.zeros(0)


class Seen(NamedTuple):
    """A moment before an action: what there is to see."""

    observation: Any
    """As the environment gave it, copied."""
    frame: np.ndarray | None
    """(height, width, 3) uint8; None where nothing is rendered."""
    places: TokenPlaces


class RecordAttention(gym.Wrapper):
    """Record the episodes of an environment, and what the policy that plays it attends to.

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
        model: an SB3 algorithm (anything with a `policy`) whose policy has an `AttentionExtractor`.
        folder: of the new recording; made when missing, must be empty.
        full: store maps from tokens to tokens as whole matrices; else their mean over queries. All
            other maps are stored whole.
        map_dtype: "uint8" (off by at most 1/508 of the largest weight of a row) or "float32".
        normalise: what the loop does to an observation before the policy sees it. Observations are
            recorded raw; a critic with an extractor of its own is asked besides, and needs it.
        index: which row of the policy's batch belongs to this environment.
        run: name of the run that the policy comes from.
        value_unit: of the critic, such as "normalised"; empty for the rewards' own unit.
        world: the header of another recording, for an environment that plays that one again and
            cannot itself say what it is called, nor its actions.

    Raises:
        ValueError: the policy has no `AttentionExtractor`, or the folder is not empty or cannot be
            written.
    """

    def __init__(
        self,
        env: gym.Env,
        model: Any,
        folder: str | Path,
        *,
        full: bool = False,
        map_dtype: Literal["uint8", "float32"] = "uint8",
        normalise: Callable[[Any], Any] | None = None,
        index: int = 0,
        run: str = "",
        value_unit: str = "",
        world: Header | None = None,
    ):
        super().__init__(env)
        extractors = extractors_of(model.policy)
        self._role = next(role for role in extractors if role != "critic")
        self._layout: TokenLayout = extractors[self._role].layout
        self._tap = AttentionTap(model.policy)
        self._heads, self._index = heads_of(model.policy), index
        self._normalise = normalise if normalise is not None else lambda observation: observation
        expected = [one for one in rehearse(model.policy).maps if one.role == self._role]
        self._maps = tuple(map_spec(one, full) for one in expected)
        self._critics = critics_maps(model.policy, self._maps)
        whole = [map_spec(one, full=True) for one in expected]
        self._chains = [
            chain
            for specs in (whole, critics_maps(model.policy, whole))
            if not (chain := chain_of(specs, len(self._layout))).reason
        ]
        maps = (*self._maps, *self._critics, *(chain.spec for chain in self._chains))
        header = header_of(env, self._layout, maps, self._heads, map_dtype)
        named: dict[str, Any] = {"algo": type(model).__name__.lower(), "run": run}
        named |= {"value_unit": value_unit}
        if world is not None:
            named |= {fact: getattr(world, fact) for fact in OF_THE_WORLD}
        self._writer = RecordingWriter(folder, replace(header, **named))
        self._seen: Seen | None = None
        self._seed: int | None = None
        self._begun = False
        self._tap.attach()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self._end()
        obs, info = self.env.reset(seed=seed, options=options)
        self._tap.take()  # a policy asked before chooses nothing of what comes
        self._seed = seed
        self._seen = self._see(obs)
        return obs, info

    def step(self, action: Any):
        heard, seen = self._deciding(self._tap.take()), self._seen
        action_taken = np.array(action)
        judgement, judged = self._judge(heard, seen, action_taken)
        obs, reward, terminated, truncated, info = self.env.step(action)
        if seen is not None:
            if not self._begun:
                self._writer.begin_episode(self._seed)
                self._begun = True
            self._writer.add(
                Step(
                    observation=_by_key(seen.observation),
                    action=action_taken,
                    frame=seen.frame,
                    places=seen.places,
                    distribution=judgement.distribution,
                    value=judgement.value,
                    reward=float(reward),
                    terminated=bool(terminated),
                    truncated=bool(truncated),
                    **self._attention(heard, judged),
                )
            )
            self._seen = self._see(obs)
        if terminated or truncated:
            self._end()
        return obs, reward, terminated, truncated, info

    def close(self) -> None:
        """Finish the recording, and let go of the policy and the environment."""
        self._tap.detach()
        try:
            self._end()
            self._writer.close()
        finally:
            super().close()

    def _see(self, obs: Any) -> Seen:
        frame = _frame(self.env)
        if frame is None:
            places = TokenPlaces.unknown(len(self._layout))
        else:
            places = get_token_places(self.env, self._layout, frame.shape)
        return Seen(_copied(obs), frame, TokenPlaces(places.boxes.copy(), places.ids.copy()))

    def _end(self) -> None:
        if self._begun and self._seen is not None:
            self._writer.end_episode(_by_key(self._seen.observation), self._seen.frame)
        self._begun, self._seen = False, None

    def _judge(
        self, heard: Pass | None, seen: Seen | None, action: np.ndarray
    ) -> tuple[Judgement, Pass | None]:
        """Return how the policy judges its action; and the pass of a critic with an extractor of
        its own, where it was asked besides."""
        if heard is None or seen is None or self._role not in heard.features:
            return Judgement(None, None), None
        i = self._index
        batch = len(heard.features[self._role])
        features = {r: f[i : i + 1] for r, f in heard.features.items() if len(f) == batch}
        with torch.no_grad():
            judgement = self._heads.judge(features, self._normalise(seen.observation), action)
        return judgement, self._tap.take()

    def _deciding(self, heard: Pass | None) -> Pass | None:
        """Return a pass if it chose an action: then every map that is recorded was told in it."""
        told = set() if heard is None else {one.name for one in heard.maps}
        return heard if told.issuperset(spec.name for spec in self._maps) else None

    def _attention(self, heard: Pass | None, judged: Pass | None) -> dict[str, Any]:
        """Return what a step holds of a pass, and of the critic's where that was another; where
        none was heard, weights are 0."""
        header = self._writer.header
        if heard is None:
            nothing = {spec.name: _nothing(header, spec) for spec in header.maps}
            return {"maps": nothing, "soft": nothing, "attended": False}
        told = {one.name: (one, 0) for one in judged.maps} if judged is not None else {}
        told |= {one.name: (one, self._index) for one in heard.maps}
        present, whole = self._present(heard), {}
        maps, soft, heads = {}, {}, {}
        for spec in (spec for spec in (*self._maps, *self._critics) if spec.name in told):
            one, row = told[spec.name]
            whole[spec.name] = _row(one.weights, row)
            maps[spec.name] = stored_rows(whole[spec.name], spec, present)
            if one.soft is not None:
                soft[spec.name] = stored_rows(_row(one.soft, row), spec, present)
            if one.heads is not None:
                heads[spec.name] = one.heads.float().cpu().numpy()
        seen = Step(observation={}, action=NOTHING, maps=whole, mask=present, heads=heads)
        for chain in self._chains:
            if whole.keys() >= chain.names:
                maps[chain.spec.name] = chain.row(seen)[None, None]
        for spec in header.maps:
            if spec.name not in maps:  # a critic that was not asked
                maps[spec.name] = soft[spec.name] = _nothing(header, spec)
        return {"maps": maps, "soft": soft, "heads": heads, "mask": present}

    def _present(self, heard: Pass) -> np.ndarray:
        mask = next(one.mask for one in heard.maps if one.role == self._role)
        if mask is None:
            return np.ones(len(self._layout), bool)
        return mask[self._index].cpu().numpy()


def _nothing(header: Header, spec: MapSpec) -> np.ndarray:
    return np.zeros(header.shape(spec), np.float32)


def _row(batch: torch.Tensor, index: int) -> np.ndarray:
    return batch[index].float().cpu().numpy()


def _frame(env: gym.Env) -> np.ndarray | None:
    if env.render_mode != "rgb_array":
        return None
    rendered = np.asarray(env.render())
    if rendered.ndim != 3 or rendered.shape[2] < 3:
        return None
    return np.array(rendered[..., :3], np.uint8)


def _copied(observation: Any) -> Any:
    """Copy an observation, for environments that write into the same array again."""
    if isinstance(observation, dict):
        return {key: np.array(part) for key, part in observation.items()}
    return np.array(observation)


def _by_key(observation: Any) -> dict[str, np.ndarray]:
    return observation if isinstance(observation, dict) else {"": observation}
