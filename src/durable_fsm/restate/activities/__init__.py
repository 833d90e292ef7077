"""The work of activities: the private service that runs it, and what one run may need beside it."""
