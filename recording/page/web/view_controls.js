// Which map is shown: role, layer, head, whose query, and which token is chosen.

import { createChoice, createElement, setOptions } from "./dom.js";
import { CAUSAL, EVIDENCE, isRecordedRollout, mapName, rolloutOf } from "./map_kinds.js";
import { hasCausalMap } from "./shown_map.js";

/** The choices above a picture. */
export class ViewControls {
  constructor(pane) {
    this.pane = pane;
    const change = (name, parse) => (value) => pane.show({ [name]: parse(value) });
    const asNumber = (value) => (value === "" ? null : /^\d+$/.test(value) ? Number(value) : value);
    this.what = createChoice("Show", "evidence or attention (e)", (value) => pane.showKind(value));
    this.component = createChoice(
      "Component",
      "which part of the action the evidence is for",
      change("component", Number),
    );
    this.role = createChoice("Role", "who attends", change("role", String));
    this.layer = createChoice("Map", "which layer's map (l, Shift+L)", change("map", asNumber));
    this.head = createChoice("Head", "which head (h, Shift+H)", change("head", asNumber));
    this.query = createChoice("Query", "whose row", (value) => this.chooseQuery(value));
    this.token = createChoice("Token", "choose a token", (value) =>
      pane.select(value === "" ? null : Number(value)),
    );
    this.soft = createChoice(
      "Weights",
      "what was read, or the weights before the hard choice",
      change("soft", (v) => v === "soft"),
    );
    const choices = [this.what, this.component, this.role, this.layer, this.head];
    choices.push(this.query, this.soft, this.token);
    this.element = createElement("div", { class: "views" }, ...choices.map((item) => item.element));
  }

  chooseQuery(value) {
    if (this.pane.hasTokenRows()) this.pane.show({ tokenRow: value === "own" });
    else this.pane.show({ query: value === "" ? null : Number(value) });
  }

  draw() {
    const { pane } = this,
      { shown, episode } = pane,
      { maps } = episode.recording,
      rollout = rolloutOf(episode, shown.role),
      isEvidence = shown.map === EVIDENCE;
    this.drawEvidence(isEvidence);
    const roles = [...new Set(maps.map((facts) => facts.role))];
    setOptions(this.role.select, isEvidence ? [] : roles.map((role) => [role, role]), shown.role);
    const layers = maps
      .map((facts, i) => [facts, i])
      .filter(([facts]) => facts.role === shown.role && !isRecordedRollout(facts));
    const listed = layers.map(([facts, i]) => [String(i), mapName(facts)]);
    if (rollout !== null) listed.push([String(rollout), "rollout (derived)"]);
    if (hasCausalMap(episode, shown.role)) listed.push([CAUSAL, "causal (derived)"]);
    setOptions(this.layer.select, listed, String(shown.map));
    this.drawMap(maps[shown.map] ?? null);
    if (isEvidence)
      for (const { element } of [this.layer, this.head, this.query, this.soft])
        element.hidden = true;
    setOptions(this.token.select, ...this.tokenOptions());
  }

  /** List what can be shown, and of evidence its components. */
  drawEvidence(isEvidence) {
    const { episode, shown } = this.pane,
      { maps, evidence } = episode.recording;
    const kinds = ["evidence", "attention"].map((kind) => [kind, kind]);
    const both = evidence && maps.length > 0;
    setOptions(this.what.select, both ? kinds : [], isEvidence ? "evidence" : "attention");
    const components = isEvidence ? evidence.components : [];
    const listed = components.map((name, i) => [String(i), name]);
    setOptions(this.component.select, listed, String(shown.component));
  }

  /** Return the tokens under the names that they have at this step, and which is chosen. */
  tokenOptions() {
    const { pane } = this,
      { episode, selected } = pane,
      t = Math.min(pane.t, episode.steps - 1),
      chosen = pane.chosen();
    const nameAt = (i) => episode.name(t, i) + (episode.present(t, i) ? "" : ", absent");
    const listed = [["", "none"], ...episode.partOf.map((_, i) => [String(i), nameAt(i)])];
    if (selected === null) return [listed, ""];
    if (chosen >= 0) return [listed, String(chosen)];
    return [[...listed, ["gone", `${episode.nameOf(selected)}, absent`]], "gone"];
  }

  /** List what the map has: heads, queries, weights before a choice. */
  drawMap(facts) {
    const { pane } = this,
      { shown } = pane,
      heads = facts ? facts.stored_heads : 1;
    const listed = Array.from({ length: heads }, (_, h) => [String(h), `head ${h}`]);
    const mean = facts ? `mean${facts.heads > 1 ? ` of ${facts.heads}` : ""}` : "mean (by rollout)";
    const derived =
      heads > 1
        ? [["mean", mean], ["max", `max of ${heads}`], ...listed]
        : [["mean", heads === 1 && facts && facts.heads === 1 ? "the only head" : mean]];
    setOptions(this.head.select, derived, String(shown.head));
    const several = facts && facts.queries !== "tokens" && facts.Q > 1;
    setOptions(this.query.select, ...this.queryOptions(facts, several));
    const kinds = [
      ["read", "as read"],
      ["soft", "before the choice"],
    ];
    setOptions(this.soft.select, facts && facts.soft ? kinds : [], shown.soft ? "soft" : "read");
  }

  /** Return whose row can be shown, and whose is. */
  queryOptions(facts, several) {
    const { pane } = this,
      { shown } = pane;
    if (pane.hasTokenRows()) {
      const all = facts || !pane.view(shown, null).last ? "mean over tokens" : "the readout";
      const options = [
        ["all", all],
        ["own", "the chosen token"],
      ];
      return [options, shown.tokenRow ? "own" : "all"];
    }
    if (!several) return [[], ""];
    const queries = Array.from({ length: facts.Q }, (_, q) => [String(q), `${facts.queries} ${q}`]);
    return [[["", "mean"], ...queries], String(shown.query ?? "")];
  }
}
