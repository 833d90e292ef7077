"""Machines that are set up and torn down, each one thing at a time."""
