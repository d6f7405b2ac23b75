"""What happens at intervals while a run trains."""
