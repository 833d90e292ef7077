"""The function for AWS Lambda, `handler.app`: on Lambda, `durable_fsm.app` makes a Lambda handler, of the same machine."""

from service import app

__all__ = ["app"]
