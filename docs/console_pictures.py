"""The pictures of docs/console.md, from the orders of machines/order: `.venv/bin/python -m docs.console_pictures`.

A real server, the order service and its outside run; the pages are pictured in Chromium, and their colours reduced.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from rich.console import Console

from machines.stage import Stage, perform
from tests.browsing import browser, chromium_program

PICTURES = Path(__file__).parent / "pictures"
GOOD, BAD, CHALLENGED = "5555 1111", "4000 0002", "3000 5555"
COLOURS = 160
SIZE = {"width": 1360, "height": 850}


def seed(ingress: str) -> None:
    """Orders in every part of their life."""
    with httpx.Client(timeout=30) as http:

        def send(key: str, event: str, payload: object = None) -> None:
            http.post(f"{ingress}/Order/{key}/{event}", json=payload).raise_for_status()

        def waits(key: str, state: str) -> None:
            condition = {"state": state, "timeout": "30s"}
            http.post(f"{ingress}/Order/{key}/wait_for", json=condition).raise_for_status()

        for number in range(4_690, 4_720):
            key, kind = f"order-{number}", number % 6
            send(key, "add_item", {"name": "lamp", "cents": 4_200 + number})
            if kind == 0:
                continue
            card = {1: BAD, 2: CHALLENGED}.get(kind, GOOD)
            send(key, "checkout", {"card": card, "address": "12 Harbour Street"})
            if kind == 1:
                waits(key, "on_hold")
                if number % 4 == 3:
                    send(key, "pay_again", {"card": BAD})
                    waits(key, "on_hold")
                    send(key, "pay_again", {"card": GOOD})
                    waits(key, "invoiced")
            elif kind == 2:
                waits(key, "challenged")
            else:
                waits(key, "invoiced")
                if kind == 4:
                    send(key, "ship", {"tracking": f"T-{number}"})
                elif kind == 5 and number % 4 == 1:
                    send(key, "call_off")


PAGES = {
    "console-machine": ("light", "/chart/Order/machine?key=order-4711"),
    "console-past": ("dark", "/chart/Order/machine?key=order-4711&n=5"),
    "console-fleet": ("light", "/chart/Order?state=challenged"),
}


def take(site: str) -> None:
    program = chromium_program()
    if program is None:
        sys.exit("install chromium")
    with browser(program) as chromium:
        for name, (scheme, path) in PAGES.items():
            size: Any = SIZE
            looks: Any = scheme
            context = chromium.new_context(viewport=size, color_scheme=looks, reduced_motion="reduce")
            page = context.new_page()
            page.goto(f"{site}{path}")
            page.locator("#pulse.live").wait_for()
            page.evaluate("document.fonts.ready")
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            few = picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(PICTURES / f"{name}.png", optimize=True)
            context.close()


def main() -> int:
    def act(stage: Stage, console: Console) -> int:
        outside = stage.outside("machines.order.outside")
        env = {"OUTSIDE_URL": outside.url, "ORDER_HOLD_SECONDS": "900", "DURABLE_FSM_RECORD": "1"}
        stage.serve("machines.order.service:app", env)
        seed(stage.server.ingress_url)
        take(stage.console())
        return 0

    return perform(act)


if __name__ == "__main__":
    sys.exit(main())
