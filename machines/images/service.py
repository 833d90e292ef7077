"""The application to serve: `hypercorn machines.images.service:app`."""

import durable_fsm
from machines.images.machine import image_workflow

app = durable_fsm.app(image_workflow)
"""Everything in one process; `apart` has each service for itself."""
