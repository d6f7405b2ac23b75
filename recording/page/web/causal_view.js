// The causal map: how much the policy changes without each token.

import { AttentionView } from "./attention_view.js";
import { largest, sum } from "./numbers.js";

/** How much the policy changes when each token is removed: one more map of the recording. */
export class CausalView extends AttentionView {
  constructor(episode, role) {
    super(episode, {
      role,
      queries: "removal",
      keys: "tokens",
      drawable: true,
      extra_keys: [],
      normalized_over: "none",
      mechanism: "",
      soft: false,
      head_weights: false,
    });
    this.noun = "change";
    this.unit = ` ${episode.removal.unit}`;
    this.query = null;
  }

  /** Return which token asks: none. */
  queryToken() {
    return null;
  }

  format(change) {
    return this.episode.removal.format(change);
  }

  isKnown(t) {
    return super.isKnown(t) && this.episode.removal.has(t);
  }

  computeRow(t) {
    return this.episode.removal.causal(t);
  }

  lines(t) {
    const words = `how much the policy changes without each token, in ${this.episode.removal.unit}`;
    return ["causal map, leave one out (derived)", this.isKnown(t) ? words : "not computed here"];
  }

  spread(t) {
    if (!this.isKnown(t)) return "";
    const changes = this.weights(t),
      mean = sum(changes) / Math.max(this.episode.presentCount(t), 1);
    return `change ${this.format(mean)} on average, ${this.format(largest(changes))} at most`;
  }
}
