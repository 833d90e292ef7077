"""What must hold of a sign-up: `durable-fsm explore proofs/signup.py`."""

from durable_fsm.explore import always, by_itself, can_always, domain, sometimes
from machines.signup.machine import Signup

chart = Signup
domains = [
    domain("create", {"name": "Ada", "email": "ada@example.com"}),
    domain(Signup.click, lambda m: {"secret": m.data.secret or "early"}, {"secret": "wrong"}),
]
properties = [
    always("the mail has a secret", lambda m: "awaiting_click" not in m.active or m.data.secret != ""),
    sometimes("the right link is clicked", lambda m: "verified" in m.active),
    sometimes("an early click is kept", lambda m: "click" in m.deferred),
    can_always("end", lambda m: m.status == "done"),
    by_itself("nobody waits for ever", when=lambda m: m.status == "running", then=lambda m: m.status == "done"),
]
