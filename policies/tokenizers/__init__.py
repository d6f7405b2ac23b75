"""From an observation to tokens: one tokenizer for each kind of token."""
