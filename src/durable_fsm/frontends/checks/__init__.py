"""Checks that every front-end makes on a definition. Each one reports all problems, with place and remedy."""
