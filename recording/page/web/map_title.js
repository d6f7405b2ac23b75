// What the map of a pane is called beside that of another.

import { CAUSAL, EVIDENCE, isRolloutMap, mapName, ownMap, rolloutOf } from "./map_kinds.js";
import { firstShown } from "./shown_map.js";

/** Return that a pane shows another map than the first; empty where they show the same. */
export function otherMapText([first], pane) {
  if ([mapIdentity, mapTitle].some((of) => of(pane) === of(first))) return "";
  const place = window.matchMedia("(max-width: 900px)").matches ? "above" : "on the left";
  const lacksRollout = ({ episode, shown }) => rolloutOf(episode, shown.role) === null;
  const [here, there] = [pane, first].map(({ episode, shown }) => isRolloutMap(episode, shown.map));
  let reason = "";
  if (there && lacksRollout(pane)) reason = "; there is no rollout here";
  if (here && lacksRollout(first)) reason = `; there is no rollout ${place}`;
  return `another map than ${place}: ${mapTitle(pane)} instead of ${mapTitle(first)}${reason}`;
}

/** Return which map a pane shows, so that it can be compared with that of another recording. */
function mapIdentity(pane) {
  const { episode, shown } = pane;
  return shown.map === ownMap(episode, shown.role) ? `${rolePrefix(pane)}own` : mapTitle(pane);
}

/** Return what the map of a pane is called. */
function mapTitle(pane) {
  const { episode, shown } = pane;
  if (isRolloutMap(episode, shown.map)) return `${rolePrefix(pane)}rollout`;
  if (shown.map === CAUSAL) return "causal map";
  if (shown.map === EVIDENCE) return "evidence";
  return rolePrefix(pane) + mapName(episode.recording.maps[shown.map]);
}

/** Return the role of a pane; empty where it is the one that acts, which algorithms name apart. */
function rolePrefix({ episode, shown }) {
  return shown.role === firstShown(episode).role ? "" : `${shown.role}, `;
}
