"""What the tokens of an observation are: layouts, specs, and their JSON."""
