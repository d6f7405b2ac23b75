"""Recording while a policy acts: the only part of this room that needs torch."""
