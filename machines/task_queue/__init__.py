"""Tasks that are handed over now and done once, now or later."""
