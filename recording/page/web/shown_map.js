// Which map is shown of an episode: by default, and when something else was chosen.

import { CausalView } from "./causal_view.js";
import { EvidenceView, evidenceRole } from "./evidence_view.js";
import {
  CAUSAL,
  EVIDENCE,
  ROLLOUT,
  isRecordedRollout,
  isRolloutMap,
  ownMap,
  rolloutOf,
} from "./map_kinds.js";
import { MapView } from "./map_view.js";
import { RolloutView } from "./rollout_view.js";

/** Return what is shown at first, as a film shows it: evidence, where there is some. */
export function firstShown(episode) {
  const { evidence } = episode.facts;
  return {
    role: evidenceRole(episode),
    map: evidence ? EVIDENCE : firstAttention(episode),
    component: evidence ? evidence.first : 0,
    head: "mean",
    query: null,
    tokenRow: true,
    soft: false,
    hide: false,
  };
}

/** Return the map that is shown at first where attention is; null where there is none. */
export function firstAttention(episode) {
  const { maps, first_map: first } = episode.recording;
  if (first === null) return null;
  return isRecordedRollout(maps[first]) ? ROLLOUT : first;
}

/** Return what is shown, made possible for an episode: there may be no such head or query. */
export function availableMap(episode, shown) {
  const { maps } = episode.recording,
    base = firstShown(episode);
  const role = maps.some((map) => map.role === shown.role) ? shown.role : base.role;
  const map = mapOfRole(episode, role, shown.map);
  const facts = maps[map] ?? null;
  const heads = facts ? facts.stored_heads : 1;
  const head = shown.head === "max" || shown.head < heads ? shown.head : "mean";
  const hasQuery = facts && facts.queries !== "tokens" && facts.Q > 1 && shown.query < facts.Q;
  return {
    role,
    map,
    component: availableComponent(episode, shown.component, base.component),
    head: heads > 1 ? head : "mean",
    query: hasQuery ? shown.query : null,
    tokenRow: shown.tokenRow,
    soft: Boolean(facts && facts.soft && shown.soft),
    hide: Boolean(shown.hide && episode.removal),
  };
}

/** Return a component of evidence: the wanted one, or the default where there is none such. */
function availableComponent(episode, wanted, first) {
  const count = episode.recording.evidence?.components.length ?? 0;
  return Number.isInteger(wanted) && wanted >= 0 && wanted < count ? wanted : first;
}

/** Return a map of a role: the wanted one, or the default where the role has no such map. */
function mapOfRole(episode, role, wanted) {
  const { maps } = episode.recording,
    isFirst = firstShown(episode).map === EVIDENCE && role === firstShown(episode).role;
  if (isFirst && (wanted === EVIDENCE || (wanted ?? null) === null || !maps.length))
    return EVIDENCE;
  const rollout = rolloutOf(episode, role),
    map = wanted === ROLLOUT ? rollout : wanted;
  if (map === ROLLOUT || (map === CAUSAL && hasCausalMap(episode, role))) return map;
  if (Number.isInteger(map) && maps[map] && maps[map].role === role) return map;
  return rollout !== null && firstAttention(episode) === ROLLOUT ? rollout : ownMap(episode, role);
}

/** Say whether there is a causal map beside those of a role: it is one of the policy. */
export function hasCausalMap(episode, role) {
  return episode.removal !== null && role === firstShown(episode).role;
}

/** Return the view of an episode that shows what is wanted. `query` is a number or null. */
export function createView(episode, { role, map, head, soft, component }, query) {
  if (map === EVIDENCE) return new EvidenceView(episode, component);
  if (map === ROLLOUT) return new RolloutView(episode, role, query);
  if (map === CAUSAL) return new CausalView(episode, role);
  return new MapView(episode, map, head, query, soft && episode.recording.maps[map].soft);
}

/** Give the panes whose map was not chosen the same one: the rollout where all have it. */
export function alignMaps(panes) {
  const chosen = panes.find((pane) => pane.mapChosen),
    wished = panes.some((pane) => firstAttention(pane.episode) === ROLLOUT),
    evidence = chosen ? chosen.shown.map === EVIDENCE : true;
  const all = panes.every((pane) => rolloutOf(pane.episode, pane.shown.role) !== null);
  const rollout = chosen ? isRolloutMap(chosen.episode, chosen.shown.map) : wished && all;
  for (const pane of panes.filter(({ mapChosen }) => !mapChosen)) {
    const hasEvidence = firstShown(pane.episode).map === EVIDENCE,
      own = rollout ? ROLLOUT : ownMap(pane.episode, pane.shown.role),
      map = evidence && hasEvidence ? EVIDENCE : own;
    pane.shown = availableMap(pane.episode, { ...pane.shown, map });
  }
}
