// Moments worth a look: rewards, changes of action, shifts of attention.

const RARE = 0.95; // where most steps differ, those beyond this share of them are taken
const LEAST_SHIFT = 0.1; // of the weight

const JUMPS = {
  reward: {
    label: "reward",
    key: "r",
    hint: "a reward other than the usual one; where most differ, the most unusual ones",
    find: (side) => side.moments.rewards,
  },
  action: {
    label: "action change",
    key: "a",
    hint: "another action than a step before; of continuous actions the largest changes",
    find: (side) => side.moments.actions,
  },
  shift: {
    label: "attention shift",
    key: "s",
    hint: "the steps at which most of the weight moved elsewhere, at least a tenth of it",
    find: (side) => shifts(side.base()),
  },
};

/** Return the next step (or the one before, if `way` is -1) of a kind on any side; null if none. */
function jump(sides, kind, t, way) {
  const moments = sides.flatMap((side) => JUMPS[kind].find(side));
  const further = moments.filter((at) => (way > 0 ? at > t : at < t));
  if (!further.length) return null;
  return way > 0 ? Math.min(...further) : Math.max(...further);
}

/** Return the moments of an episode that do not depend on the map that is shown. */
function momentsOf(episode) {
  return { rewards: rewards(episode), actions: actionChanges(episode) };
}

function rewards(episode) {
  const all = Array.from(episode.arrays.reward),
    usual = quantile(all, 0.5);
  return unusual(all.map((reward) => Math.abs(reward - usual)));
}

function actionChanges(episode) {
  const moved = [0];
  for (let t = 1; t < episode.steps; t++) {
    const before = episode.action(t - 1);
    moved.push(Math.hypot(...episode.action(t).map((value, i) => value - before[i])));
  }
  if (episode.recording.action_kind === "continuous") return above(moved, quantile(moved, RARE));
  return above(moved, 0);
}

function shifts(look) {
  const { shift } = look.all();
  return above(shift, Math.max(LEAST_SHIFT, quantile(shift, RARE)), true);
}

/** Return the steps that differ, where at most half of them do; else those that differ most. */
function unusual(away) {
  const differ = above(away, 0);
  return differ.length <= away.length / 2 ? differ : above(away, quantile(away, RARE), true);
}

function above(values, least, equal = false) {
  return Array.from(values.keys()).filter(
    (t) => values[t] > 0 && (equal ? values[t] >= least : values[t] > least),
  );
}

/** Return the value below which a share of values lies. */
function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : 0;
}
