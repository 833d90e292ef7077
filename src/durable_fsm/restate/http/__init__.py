"""The HTTP interface of machines: requests, answers and errors, and the document that describes it."""
