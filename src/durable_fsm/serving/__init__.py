"""Serving an application so that it ends well: by uvicorn, hypercorn or granian, in one process or several.

    run(app, Listener(port=9080), drain=timedelta(seconds=30))

serves until SIGTERM or SIGINT. Then it takes no new invocation, lets what is under way come to its next rest, and ends.
"""

from durable_fsm.serving.drain import Draining
from durable_fsm.serving.process import run
from durable_fsm.serving.servers import DEFAULT, SERVERS, Listener, NotInstalled, ServerName
from durable_fsm.serving.workers import Worker, supervise

__all__ = ["DEFAULT", "SERVERS", "Draining", "Listener", "NotInstalled", "ServerName", "Worker", "run", "supervise"]
