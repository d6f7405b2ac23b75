"""The words of the encoder options, and of the policy head, with a line of help each.

Free of torch, so that `--help` is quick.
"""

from __future__ import annotations

from attention_agents.agents.config.encoder_config import ENCODERS
from attention_agents.policies.registries import REGISTRIES

POLICY_HEADS = {
    "mlp": "fully connected layers, `net_arch`",
    "pointer": "actions point at entities, one action each (ppo, a2c, trpo, ppo_mask)",
    "attention-gru": "a recurrent state is the query at every step, and is carried (ppo_lstm)",
}
"""What follows the encoder, with help."""


def glossary() -> str:
    """Return a table of all words for the end of `--help`; those of imported plugins stand last."""
    options = {"encoder": ENCODERS}
    options |= {name.replace("_", "-"): registry.words for name, registry in REGISTRIES.items()}
    options["policy-head"] = POLICY_HEADS
    width = max(len(word) for words in options.values() for word in words)
    lines = ["", "words, the default first:"]
    for option, words in options.items():
        labels = [f"--{option}", *[""] * (len(words) - 1)]
        lines += [
            f"  {label:<16} {word:<{width}}  {help}"
            for label, (word, help) in zip(labels, words.items(), strict=True)
        ]
    return "\n".join([*lines, "words of your own: --plugins, see docs/extending.md", ""])
