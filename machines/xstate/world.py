"""The services outside: an authority that issues tokens, a bank and a mail server.

`python -m machines.xstate.world` serves them. There is no token for mallory. ada, bob and carol have accounts, with 1000
cents each to begin with; carol's is about to be closed and takes no more money.
"""

from __future__ import annotations

from typing import Any

from machines.world import Answer, World, serve

ACCOUNTS = {"ada": 1000, "bob": 1000, "carol": 1000}
CLOSING = {"carol"}


def issue_token(world: World, key: str, body: dict[str, Any]) -> Answer:
    if "mallory" in body["code"]:
        return 404, {"reason": "mallory is not known here"}
    return 201, {"token": f"token-{world.count('/tokens') + 1}"}


def update_balance(world: World, key: str, body: dict[str, Any]) -> Answer:
    if body["user"] not in ACCOUNTS:
        return 404, {"reason": f"{body['user']} has no account"}
    if body["user"] in CLOSING and body["cents"] > 0:
        return 410, {"reason": f"{body['user']}'s account is about to be closed"}
    changes = [done["body"]["cents"] for done in world.ledger if done["body"].get("user") == body["user"]]
    balance = ACCOUNTS[body["user"]] + sum(changes) + body["cents"]
    return (201, {"balance": balance}) if balance >= 0 else (402, {"reason": f"{body['user']} has not enough"})


def send_mail(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {}


if __name__ == "__main__":
    serve({"/tokens": issue_token, "/balances": update_balance, "/mails": send_mail}, __doc__)
