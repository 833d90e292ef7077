"""One process that serves: `python -m durable_fsm.serving JOB`, where JOB is a `ServeJob` as JSON."""

from __future__ import annotations

import argparse
import os
import sys

from durable_fsm.serving.job import ServeJob, configure_logs
from durable_fsm.serving.process import run


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m durable_fsm.serving")
    parser.add_argument("job", type=ServeJob.read)
    parser.add_argument("--ready", metavar="FD", type=int, help="Write a byte to this descriptor once it listens.")
    parser.add_argument("--parent", metavar="FD", type=int, help="End as soon as this descriptor is closed.")
    options = parser.parse_args(arguments)
    job: ServeJob = options.job
    configure_logs(job.logs)
    app, lifespan = job.application()

    def ready() -> None:
        if job.announce:
            print(f"Serving {job.target} at {job.listener.url}.", flush=True)
        if options.ready is not None:
            os.write(options.ready, b".")
            os.close(options.ready)

    return run(app, job.listener, drain=job.drain, lifespan=lifespan, ready=ready, parent=options.parent)


if __name__ == "__main__":
    sys.exit(main())
