"""Web pages for the applications: rendered on the server, without a build step, without a request to another site.

    pages = Pages("Food", folder=Path(__file__).parent / "templates", menu={"/": "Order", "/operations": "Operations"})

    async def order(request: Request) -> Response:
        return pages.show("order.html", order=await read(request.path_params["order"]))

    async def live(request: Request) -> Response:
        return pages.live("progress.html", changes(lambda: read(request.path_params["order"])))

    app = pages.app([Route("/orders/{order}", order), Route("/orders/{order}/live", live)])

A template extends `base.html`, fills its block `main` and names its link of the menu: `{% set here = "/" %}`.
`{{ diagram(Order, states) }}` draws a chart with the machine's states highlighted. See `assets/live.js` for the
attributes that keep a page up to date.
"""

from machines.pages.site import Pages, changes

__all__ = ["Pages", "changes"]
