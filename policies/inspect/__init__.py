"""Looking into a policy: its attention maps, its outputs, its tokens removed."""
