"""Several outside steps, each done once, through every crash."""
