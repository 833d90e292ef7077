"""What machines say over HTTP: requests, answers and errors, and the document that describes them."""
