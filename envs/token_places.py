"""Where the tokens of one step stand on its rendered frame.

An environment (or a wrapper) that knows says so with a method
`token_places(layout, frame_shape) -> TokenPlaces`; every other environment's tokens have no place
on the frame, and are drawn beside it. An overlay never guesses.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces


def get_token_places(
    env: gym.Env, layout: TokenLayout, frame_shape: tuple[int, ...]
) -> TokenPlaces:
    """Ask an environment where its tokens stand on the frame that it has just rendered.

    Call it right after `render()`, before the next step. It changes neither the environment nor
    any random stream.

    Args:
        env: the outermost wrapper; the first one in the chain that has `token_places` is asked.
        layout: the N tokens.
        frame_shape: (height, width, ...) of the rendered frame, in pixels.

    Raises:
        ValueError: the environment answers with arrays that do not fit the layout.
    """
    try:
        token_places = env.get_wrapper_attr("token_places")
    except AttributeError:
        return TokenPlaces.unknown(len(layout))
    boxes, ids = token_places(layout, frame_shape)
    boxes, ids = np.asarray(boxes, np.float32), np.asarray(ids, np.int64)
    if boxes.shape != (len(layout), 4) or ids.shape != (len(layout),):
        raise ValueError(
            f"token_places must give boxes of shape ({len(layout)}, 4) and as many ids for "
            f"{len(layout)} tokens, got {boxes.shape} and {ids.shape}"
        )
    return TokenPlaces(boxes, ids)


def boxes_to_places(boxes: np.ndarray) -> TokenPlaces:
    """Return places of tokens that are spots, not objects: they have no identities."""
    return TokenPlaces(boxes.astype(np.float32), np.full(len(boxes), -1, np.int64))


class GroupPlaces:
    """Give an environment or a wrapper `token_places` by telling the places of each token group."""

    def group_places(self, group: TokenGroup, frame_shape: tuple[int, ...]) -> TokenPlaces | None:
        """Return where the tokens of a group stand; None where they are not on the frame."""
        raise NotImplementedError

    def token_places(self, layout: TokenLayout, frame_shape: tuple[int, ...]) -> TokenPlaces:
        """Return where all tokens stand on the frame, see `get_token_places`."""
        parts = [
            self.group_places(group, frame_shape) or TokenPlaces.unknown(len(group))
            for group in layout.groups
        ]
        boxes, ids = zip(*parts, strict=True)
        return TokenPlaces(np.concatenate(boxes), np.concatenate(ids))


class PicturePlaces(GroupPlaces, gym.Wrapper):
    """Say that the observed picture is the whole rendered frame, only smaller.

    Then patches and cells stand on the frame where they stand in the picture, scaled.

    Args:
        env: an environment whose observation is a picture of its frame.
        picture: (height, width) of the observed picture, in pixels or cells.
    """

    def __init__(self, env: gym.Env, picture: tuple[int, int]):
        super().__init__(env)
        self.picture = picture

    def group_places(self, group: TokenGroup, frame_shape: tuple[int, ...]) -> TokenPlaces | None:
        if group.boxes is None or group.picture != self.picture:
            return None
        down, right = frame_shape[0] / self.picture[0], frame_shape[1] / self.picture[1]
        return boxes_to_places(np.array(group.boxes) * (right, down, right, down))
