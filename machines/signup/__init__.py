"""Signing up, with a link that must be clicked."""
