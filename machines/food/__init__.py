"""Food ordering: an order from the cart to the door, its kitchen, its driver, and the pages to follow it."""
