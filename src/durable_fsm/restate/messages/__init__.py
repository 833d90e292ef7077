"""Traffic between machines: messages, beginnings and ends of children, and messages that come back."""
