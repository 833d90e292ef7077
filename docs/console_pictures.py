"""The pictures of docs/console.md, from the orders of machines/order: `.venv/bin/python -m docs.console_pictures`.

A real server, the order service and its outside run; the pages are pictured in Chromium, and their colours reduced.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from PIL import Image
from rich.console import Console

from machines.stage import Stage, perform
from tests.browsing import browser, chromium_program

Colour: TypeAlias = tuple[int, int, int]

PICTURES = Path(__file__).parent / "pictures"
GOOD, BAD, CHALLENGED = "5555 1111", "4000 0002", "3000 5555"
COLOURS, EXACT = 256, 64
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
            few(picture).save(PICTURES / f"{name}.png", optimize=True)
            context.close()


def few(picture: Image.Image) -> Image.Image:
    """The picture with few colours: its most frequent ones as they are, so that no surface is tinted, and some between."""
    octets = picture.tobytes()
    pixels: list[Colour] = list(zip(octets[0::3], octets[1::3], octets[2::3], strict=True))
    counts = Counter(pixels)
    spread = picture.quantize(COLOURS - EXACT, method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    exact = [colour for colour, _ in counts.most_common(EXACT)]
    palette = [*exact, *zip(spread[0::3], spread[1::3], spread[2::3], strict=True)][:COLOURS]

    def nearest(colour: Colour) -> int:
        return min(
            range(len(palette)), key=lambda at: sum((a - b) ** 2 for a, b in zip(palette[at], colour, strict=True))
        )

    places = {colour: nearest(colour) for colour in counts}
    made = Image.frombytes("P", picture.size, bytes(places[colour] for colour in pixels))
    made.putpalette([part for colour in palette for part in colour])
    return made


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
