"""Expensive additions, of which ten run at once, the most urgent first."""
