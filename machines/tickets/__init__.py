"""Tickets of a theatre: put into a cart, reserved for a while, bought together."""
