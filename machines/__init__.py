"""Applications as statecharts. Each directory runs alone, and is an acceptance test of the framework."""
