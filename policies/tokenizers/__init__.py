"""From an observation to tokens: one tokenizer for each kind of token."""

from attention_agents.policies.tokenizers.observation import ObservationTokenizer
from attention_agents.policies.tokens import Tokens

__all__ = ["ObservationTokenizer", "Tokens"]
