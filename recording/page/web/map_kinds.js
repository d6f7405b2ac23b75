// Which kinds of maps there are: recorded ones by their number, and those that the page computes.

export const ROLLOUT = "rollout";
export const CAUSAL = "causal";

/** Say whether a recorded map is the rollout of others. */
export function isRecordedRollout(facts) {
  return facts.derived === ROLLOUT;
}

/** Say whether a map of an episode is a rollout, computed or recorded. */
export function isRolloutMap(episode, map) {
  return (
    map === ROLLOUT || (Number.isInteger(map) && isRecordedRollout(episode.recording.maps[map]))
  );
}

/** Return a role's rollout: that of the page from whole matrices, else the recorded one or null. */
export function rolloutOf(episode, role) {
  const { reason, recorded } = episode.recording.roles[role];
  return reason ? recorded : ROLLOUT;
}

/** Return the number of a role's own map: the one that is shown where there is no rollout. */
export function ownMap(episode, role) {
  return episode.recording.roles[role].own_map;
}

/** Return what a map is called among those of its role. */
export function mapName(facts) {
  if (isRecordedRollout(facts)) return "rollout";
  const part = facts.part ? `, ${facts.part}` : "",
    readout = facts.queries === "readout" ? ", readout" : "";
  return `layer ${facts.layer}${part}${readout}${facts.drawable ? "" : ` (${facts.keys})`}`;
}
