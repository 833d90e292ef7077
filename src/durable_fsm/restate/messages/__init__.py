"""What machines send to each other: messages, the beginnings and ends of children, and refusals."""
