"""A trip that is booked as a whole, or not at all."""
