"""A slow upload, whose result comes by mail to callers who do not wait for it."""
