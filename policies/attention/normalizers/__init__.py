"""From scores to weights: one file for each normalizer, or each family of them."""
