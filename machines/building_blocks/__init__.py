"""What durable machines are made of, each once."""
