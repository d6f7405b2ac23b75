"""From an observation to tokens: one tokenizer for each kind of token."""

from policies.tokenizers.join import ObservationTokenizer
from policies.tokens import Tokens

__all__ = ["ObservationTokenizer", "Tokens"]
