"""One client for the requests of tests: `httpx.get` loads all certificates anew for each request, 15 ms of CPU.

For the same reason clients that tests make themselves have `verify=False`: they ask servers of this machine, without TLS.
"""

from __future__ import annotations

import httpx

ONCE = {"connection": "close"}
"""A header for a new connection for each request, since servers are killed meanwhile.

A pool that keeps no connection would do, if its client were not used by several threads: it may give one that it is about
to close to another thread.
"""

web = httpx.Client(timeout=60, trust_env=False, verify=False, headers=ONCE, limits=httpx.Limits(max_connections=None))
"""Patient, without proxies, and with a new connection for each request."""
