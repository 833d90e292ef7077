"""The application to serve: `hypercorn machines.data_upload.service:app`."""

import durable_fsm
from machines.data_upload.machine import DataUpload

app = durable_fsm.app(DataUpload)
