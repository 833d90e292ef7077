"""Events from Kafka topics and webhooks: from the bytes that arrive to the machine that processes them."""
