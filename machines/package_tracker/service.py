"""The application to serve: `hypercorn machines.package_tracker.service:app`."""

import durable_fsm
from machines.package_tracker.machine import Package

app = durable_fsm.app(Package)
