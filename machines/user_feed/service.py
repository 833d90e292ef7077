"""The application to serve: `hypercorn machines.user_feed.service:app`."""

import durable_fsm
from machines.user_feed.machine import UserFeed

app = durable_fsm.app(UserFeed)
