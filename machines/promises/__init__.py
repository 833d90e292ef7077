"""Promises that any process may keep, break or await, and questions that wait for their answers."""
