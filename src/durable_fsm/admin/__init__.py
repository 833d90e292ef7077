"""What Restate's admin API knows and changes: all machines of a server, and its Kafka subscriptions."""
