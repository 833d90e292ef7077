"""The pure core: charts, snapshots, events, and the step from one snapshot to the next.

Standard library and msgspec only. Nothing in here knows a clock, a network, Restate or asyncio: the same input gives the same
output, forever.
"""
