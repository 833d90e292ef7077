"""Products that are reserved once, through an application of their own."""
