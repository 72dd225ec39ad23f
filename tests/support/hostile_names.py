"""Hostile names of stations, and what a page of the data app makes of them."""

import re
from typing import Any

from world import World

INLINE = (
    "![x](http://evil.example/x.png)",
    "[click](http://evil.example)",
    "<img src=http://evil.example/y.png onerror=alert(1)>",
    "<a href=http://evil.example>link</a><script>alert(1)</script>",
    "HTTPS://evil.example/p",
    "WWW.evil.example",
    "a@evil.example",
    ":red[x] :material/warning: :smile: :+1: :blue-background[y]",
    "$x$ **bold** `code` _u_ ~~s~~ &lt;b&gt; &amp; \\",
)
TEXTS = (
    " ".join(INLINE),
    "# a head",
    "- a list | of | cells",
    "1. one",
    "> quoted",
    "[x]: http://evil.example",
    "a\\",
)
LINKS = (*INLINE[:3], "HTTPS://evil.example WWW.evil.example a@evil.example")
CAPTION = "[data-testid=stCaptionContainer]"
ACTING = f"""el => [...el.querySelectorAll(`a[href], img, script, iframe, .katex,
  h4, [data-testid=stAlert] strong, {CAPTION} :is(strong, code, em, del, ul, table, h1,
  h2, span), [data-testid=stMarkdownContainer] :is(code, em, del)`)]
  .map((e) => e.href || e.src || e.outerHTML)"""
"""What of a page does something, or is not drawn as it was written."""


def collect_hostile_names(world: World) -> None:
    """Collect three slots of stations whose ids, names and areas are `TEXTS`."""
    places = {t: [25 + n / 100, 121.5 + n % 3 / 100, t] for n, t in enumerate(TEXTS)}
    for bikes in (1, 2, 3):
        stations = dict.fromkeys(TEXTS, bikes)
        world.fetch(stations, after=300, places=places, names={t: t for t in TEXTS})


def acting(main: Any, address: str) -> list[str]:
    """Return the active elements of *main*, except links to our own pages."""
    return [
        element
        for element in main.evaluate(ACTING)
        if not element.startswith((f"{address}/", "<code>bikecollect"))
        and not element.endswith("ago</strong>")  # how old the newest data are
    ]


def joined(text: str) -> str:
    """Return a pattern for *text*, in which invisible joiners may disable links."""
    return "\u2060?".join(map(re.escape, text))
