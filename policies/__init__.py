"""Neural networks: tokenizers, attention, encoders, and what stands around them in SB3.

`policies.plugin_api` hands on all that a mechanism of your own needs.
"""
