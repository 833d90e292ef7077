"""Machines that are set up and torn down, one request at a time for each."""
