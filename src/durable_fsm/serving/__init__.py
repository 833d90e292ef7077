"""Serve an application by uvicorn, hypercorn or granian, in one process or several, and drain it at the end.

    run(app, Listener(port=9080), drain=timedelta(seconds=30))

serves until SIGTERM or SIGINT. Then it accepts no new invocation, suspends those in flight at their next step, and ends.
"""

from durable_fsm.serving.drain import Draining
from durable_fsm.serving.job import ServedPart, ServedProtocol, ServeJob, configure_logs
from durable_fsm.serving.process import run
from durable_fsm.serving.servers import DEFAULT, SERVERS, Listener, NotInstalled, ServerName
from durable_fsm.serving.workers import Worker, supervise

__all__ = [
    "DEFAULT",
    "SERVERS",
    "Draining",
    "Listener",
    "NotInstalled",
    "ServeJob",
    "ServedPart",
    "ServedProtocol",
    "ServerName",
    "Worker",
    "configure_logs",
    "run",
    "supervise",
]
