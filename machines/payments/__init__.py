"""Payments between accounts: made once, cancelled at any time, forgotten after a while."""
