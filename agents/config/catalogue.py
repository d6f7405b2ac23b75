"""The words of the encoder options, and of the head that follows it, with a line of help each.

Free of torch, so that `--help` is quick; a test holds that they are those of the registries in
`policies`.
"""

from __future__ import annotations

from collections.abc import Mapping

WORDS: dict[str, dict[str, str]] = {
    "block": {
        "residual": "self-attention and feed-forward, each added (pre-norm transformer)",
        "gtrxl": "self-attention and feed-forward, each let in by a GRU gate (GTrXL)",
        "sab": "set attention: every token reads every other, norms last, O(N^2)",
        "isab": "set attention through `points` inducing points, norms last, O(N points)",
        "space-time": "frames: each place through time, then each frame by itself",
        "channel": "gates on channels (squeeze-and-excitation), then feed-forward",
    },
    "readout": {
        "auto": "ego where the observation has such a token, else query",
        "query": "one learned query reads the tokens",
        "queries": "`points` learned queries read the tokens; their reads are joined",
        "ego": "the agent's own token asks",
        "present": "the token of the present step asks; for a history of numbers",
        "cls": "a learned CLS token stands among the tokens, and its row is read off",
        "cross": "the tokens of the key `asker` ask, those of the other keys are read",
        "votes": "tokens are read by how much all others attend to them, O(N^2)",
        "slots": "`points` slots compete for the tokens; the slots are joined",
        "attention-gru": "a GRU reads a history step by step, and its state asks (needs a history)",
        "augru": "a GRU whose update gate is times the attention (needs a history)",
        "attgru": "a GRU with attention as its update gate (needs a history)",
        "mean": "the mean of the tokens, no attention in the readout",
        "sum": "the sum of the tokens over sqrt(N), no attention in the readout",
        "max": "the largest value of each channel, no attention in the readout",
    },
    "attention": {
        "scaled-dot-product": "q.k / sqrt(K)",
        "additive": "v . tanh(q + k), with a learned v per head",
        "dot": "q.k, without a scale",
        "general": "q W k, with a learned W per head",
        "location": "the query alone says where to look; for tokens with a fixed order",
        "cosine": "the angle between q and k, times a learned strength per head",
    },
    "normaliser": {
        "softmax": "every visible token gets some weight; rows sum to 1",
        "sparsemax": "weight for the few best tokens, 0 for the rest; rows sum to 1",
        "entmax15": "between softmax and sparsemax; rows sum to 1",
        "sigmoid": "a gate from 0 to 1 for each token; rows sum to anything",
    },
    "hard": {
        "none": "soft attention: every token with weight is read",
        "top-k": "the `budget` largest weights are read, the others are 0",
        "gumbel": "the best token alone is read, and learned by Gumbel noise",
        "perturbed-top-k": "the `budget` best tokens are read evenly, learned by noise",
    },
    "where": {
        "global": "all tokens",
        "local": "tokens within `reach` cells and steps of the asker",
        "predicted": "tokens around a centre that the query predicts, as wide as `reach`",
        "causal": "tokens of the asker's own step or earlier",
        "spatial": "tokens of the asker's own step",
        "temporal": "tokens of other steps at the asker's own place, and itself",
    },
    "positions": {
        "none": "tokens know their places by their embedding alone",
        "relative": "a learned bias by offset on grids and in time, or by distance",
    },
    "mix": {
        "concat": "heads side by side, then projected",
        "weighted": "what each head has read counts by a learned weight",
        "talking": "heads exchange scores before the normaliser, and weights after it",
    },
}
"""Option, word, help; the first word of each is the default."""
HEAD = {
    "mlp": "fully connected layers, `net_arch`",
    "pointer": "actions point at entities, one action each (ppo, a2c, trpo, ppo_mask)",
    "attention-gru": "a recurrent state asks at every step, and is carried (ppo_lstm)",
}
"""What follows the encoder, with help."""


def glossary(own: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """Return a table of all words, for the end of `--help`.

    Args:
        own: words of plugins, by option, with a line of help each; they stand after ours.
    """
    ours = WORDS | {"head": HEAD}
    options = {option: {**words, **(own or {}).get(option, {})} for option, words in ours.items()}
    width = max(len(word) for words in options.values() for word in words)
    lines = ["", "words, the default first:"]
    for option, words in options.items():
        heads = [f"--{option}", *[""] * (len(words) - 1)]
        lines += [
            f"  {head:<14} {word:<{width}}  {text}"
            for head, (word, text) in zip(heads, words.items(), strict=True)
        ]
    return "\n".join([*lines, "words of your own: --plugins, see docs/extending.md", ""])
