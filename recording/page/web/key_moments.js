// Key moments: rewards, changes of action, shifts of attention.

import { quantile } from "./numbers.js";

const RARE = 0.95; // where most steps differ, those beyond this share of them are taken
const MIN_SHIFT = 0.1; // of the weight

export const KEY_MOMENTS = {
  reward: {
    label: "reward",
    key: "r",
    hint: "a reward other than the usual one; where most differ, the most unusual ones",
    find: (pane) => pane.moments.rewards,
  },
  action: {
    label: "action change",
    key: "a",
    hint: "another action than a step before; of continuous actions the largest changes",
    find: (pane) => pane.moments.actions,
  },
  shift: {
    label: "attention shift",
    key: "s",
    hint: "the steps at which most of the weight moved elsewhere, at least a tenth of it",
    find: (pane) => (pane.base().signed ? [] : attentionShifts(pane.base())),
  },
};

/** Return the next step of a kind in any pane, or the one before if `direction` is -1; null if none. */
export function nextMoment(panes, kind, t, direction) {
  const moments = panes.flatMap((pane) => KEY_MOMENTS[kind].find(pane));
  const further = moments.filter((moment) => (direction > 0 ? moment > t : moment < t));
  if (!further.length) return null;
  return direction > 0 ? Math.min(...further) : Math.max(...further);
}

/** Return the moments of an episode that do not depend on the map that is shown. */
export function keyMoments(episode) {
  return { rewards: rewardSteps(episode), actions: actionChanges(episode) };
}

function rewardSteps(episode) {
  const rewards = Array.from(episode.arrays.reward),
    usual = quantile(rewards, 0.5);
  return unusualSteps(rewards.map((reward) => Math.abs(reward - usual)));
}

function actionChanges(episode) {
  const changes = [0];
  for (let t = 1; t < episode.steps; t++) {
    const before = episode.action(t - 1);
    changes.push(Math.hypot(...episode.action(t).map((value, i) => value - before[i])));
  }
  if (episode.recording.action_kind === "continuous")
    return stepsAbove(changes, quantile(changes, RARE));
  return stepsAbove(changes, 0);
}

function attentionShifts(view) {
  const { shift } = view.allSteps();
  return stepsAbove(shift, Math.max(MIN_SHIFT, quantile(shift, RARE)), true);
}

/** Return the steps that differ, where at most half of them do; else those that differ most. */
function unusualSteps(distances) {
  const differ = stepsAbove(distances, 0);
  return differ.length <= distances.length / 2
    ? differ
    : stepsAbove(distances, quantile(distances, RARE), true);
}

function stepsAbove(values, least, equal = false) {
  return Array.from(values.keys()).filter(
    (t) => values[t] > 0 && (equal ? values[t] >= least : values[t] > least),
  );
}
