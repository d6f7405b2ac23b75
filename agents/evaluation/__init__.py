"""How good a policy is: whole episodes on fixed seeds, with intervals."""
