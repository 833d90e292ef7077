"""A task that is split into pieces, which are done in parallel."""
