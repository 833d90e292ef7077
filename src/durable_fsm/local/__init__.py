"""A native Restate server and service processes on this machine: started, watched, and ended without a trace.

`durable-fsm dev`, `durable_fsm.testing` and the benchmarks run on these modules.
"""
