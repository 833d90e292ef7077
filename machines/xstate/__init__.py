"""Three machines of XState on Restate: an authorization, a payment and a counter in two versions."""
