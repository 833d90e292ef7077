"""The records under a machine's key and that of its companion, and how to read them; the host acts on them elsewhere.

snapshot   the machine as one readable JSON text, with the latest entries of its history; see `snapshot`, `history`
handles    ids of invocations that can be cancelled, by token; see `snapshot`
waiters    those who wait for the machine; see `waiters`
parked     deliveries that could not be processed, by token; see `deliveries`
letters    messages that this deployment cannot take, in order; see `letters`
failing    a step whose attempts fail, under the companion's key; see `failing`

Nothing here imports Restate's SDK, or a module that does. The admin tools read the same records from the server's tables,
and the SDK would make each of their commands start slower.
"""
