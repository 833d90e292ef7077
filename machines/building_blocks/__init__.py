"""The building blocks of durable machines, each once."""
