"""Reminders of unpaid invoices, started by a provider's webhook."""
