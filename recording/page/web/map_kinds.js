// Which kinds of maps there are: recorded ones by their number, and those that the page computes.

export const ROLLOUT = "rollout";
export const CAUSAL = "causal";
export const EVIDENCE = "evidence";

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
  const facts = episode.recording.roles[role];
  if (!facts) return null; // a policy without attention
  const { reason, recorded } = facts;
  return reason ? recorded : ROLLOUT;
}

/** Return the number of a role's own map: the one that is shown where there is no rollout; null
 * where there are no maps. */
export function ownMap(episode, role) {
  return episode.recording.roles[role]?.own_map ?? null;
}

/** Return what a map is called among those of its role. */
export function mapName(facts) {
  if (isRecordedRollout(facts)) return "rollout";
  const part = facts.part ? `, ${facts.part}` : "",
    readout = facts.queries === "readout" ? ", readout" : "";
  return `layer ${facts.layer}${part}${readout}${facts.drawable ? "" : ` (${facts.keys})`}`;
}
