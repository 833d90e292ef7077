"""The application. `durable-fsm dev`, or any ASGI server, serves `app`."""

import durable_fsm

from machine import {{Name}}

app = durable_fsm.app({{Name}})
