"""Restate's admin API: read all machines of a server, and change its Kafka subscriptions."""
