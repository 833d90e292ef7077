"""A flight agency for this example: prices of flights, in the order in which a script lists them.

    POST /prices   {"origin", "destination"}: the next price of this route; the last one stays
    POST /script   {"origin", "destination", "prices": [900, 800, 450]}: the prices to come

A route without a script gets cheaper by 50 each time, from 900 on. For the rest see `machines/world.py`.
"""

from __future__ import annotations

from typing import Any

from machines.world import Answer, World, ask, serve


async def fetch_price(origin: str, destination: str, key: str) -> int:
    """The price of a flight now."""
    answer = await ask("/prices", {"origin": origin, "destination": destination}, key=key)
    price: int = answer["price"]
    return price


def route(body: dict[str, Any]) -> tuple[str, str]:
    return body["origin"], body["destination"]


def script(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {"prices": body["prices"]}


def price(world: World, key: str, body: dict[str, Any]) -> Answer:
    scripts = [
        one["body"]["prices"] for one in world.ledger if one["path"] == "/script" and route(one["body"]) == route(body)
    ]
    prices = scripts[-1] if scripts else range(900, 100, -50)
    asked = sum(one["path"] == "/prices" and route(one["body"]) == route(body) for one in world.ledger)
    return 201, {"price": prices[min(asked, len(prices) - 1)]}


if __name__ == "__main__":
    serve({"/prices": price, "/script": script}, __doc__)
