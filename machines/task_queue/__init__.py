"""Tasks that are accepted at once and done once, now or later."""
