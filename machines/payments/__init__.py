"""Payments from accounts: made once, cancelled at any time, deleted after a while."""
