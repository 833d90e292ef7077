"""A greeter that counts."""
