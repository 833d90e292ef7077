"""One client for the requests of tests: `httpx.get` loads all certificates anew for each request, 15 ms of CPU.

For the same reason clients that tests make themselves have `verify=False`: they ask servers of this machine, without TLS.
"""

from __future__ import annotations

import httpx

web = httpx.Client(
    timeout=60, trust_env=False, verify=False, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0)
)
"""Patient, without proxies, and with a new connection for each request, since servers are killed meanwhile."""
