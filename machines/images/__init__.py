"""Pictures made in steps: each list of steps becomes a statechart."""
