"""Attention, piece by piece; `policies.plugin_api` hands on what a mechanism of your own needs."""
