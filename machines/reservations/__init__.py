"""Products that are reserved once, through a separate application."""
