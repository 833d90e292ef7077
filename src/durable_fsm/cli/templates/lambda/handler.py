"""What AWS Lambda calls, as `handler.app`: there, `durable_fsm.app` makes a Lambda handler of the same machine."""

from service import app

__all__ = ["app"]
