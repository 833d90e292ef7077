"""Applications as statecharts: each directory runs alone, and is an acceptance test of the framework."""
