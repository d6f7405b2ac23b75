"""Playing whole episodes with a policy, and recording them."""
