"""A package: registered over HTTP, followed by records from Kafka."""
