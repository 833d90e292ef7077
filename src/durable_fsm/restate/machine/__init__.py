"""The virtual object that is one machine per key: its handlers, its transaction, and what its key holds."""
