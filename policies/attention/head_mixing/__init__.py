"""How the heads of one layer combine: one file for each way."""
