"""A verdict for each stored machine before a build is deployed, by the functions that the build itself will run.

Pure: snapshots and charts come in, verdicts and texts come out. Nothing here reads a server, and nothing sends anything.
"""
