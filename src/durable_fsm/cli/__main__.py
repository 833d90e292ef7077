"""`python -m durable_fsm.cli` is `durable-fsm`."""

from durable_fsm.cli import main

main(prog_name="durable-fsm")
