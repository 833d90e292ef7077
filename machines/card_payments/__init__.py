"""Card payments by a provider that answers at once, or later by a webhook."""
