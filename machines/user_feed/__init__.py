"""A user's feed: posts from Kafka, processed one at a time."""
