"""Reminders of unpaid invoices, set off by a provider's webhook."""
