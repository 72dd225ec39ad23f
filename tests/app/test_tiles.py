"""Tiles behind the map: off by default, from one host that the settings name.

That they are drawn is tested in `test_browser_live.py`, whose app has tiles.
"""

import pytest

from bikecollect.core.errors import SettingsError
from bikecollect.setup.loader import parse


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        (
            {"tiles": "https://t.example/1.png", "attribution": "x"},
            "must be an address",
        ),
        ({"tiles": "file:///{z}/{x}/{y}", "attribution": "x"}, "must be an address"),
        (
            {
                "tiles": "https://t.org/{z}/{x}/{y}; script-src *",
                "attribution": "x",
            },
            "must be an address",
        ),
        ({"tiles": "https://t.example/{z}/{x}/{y}.png"}, "app.attribution is missing"),
    ],
)
def test_tiles_that_cannot_be_shown_are_rejected(
    app: dict[str, str], problem: str
) -> None:
    """The Content-Security-Policy of each page names their host."""
    with pytest.raises(SettingsError) as caught:
        parse({"app": app})

    assert problem in str(caught.value)
