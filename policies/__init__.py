"""Neural networks: tokenizers, attention, encoders, and what stands around them in SB3."""
