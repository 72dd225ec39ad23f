"""Stations are found by any of their texts, and shown without a common prefix."""

import pytest

from bikecollect.app.queries.station_names import (
    StationTexts,
    display_names,
    matching,
    prefixes,
)

TAIPEI = {
    "500101001": StationTexts(
        "YouBike2.0_捷運科技大樓站",
        "大安區",
        "YouBike2.0_MRT Technology Bldg. Sta.",
        "Daan Dist",
        "復興南路二段235號前",
        "No.235, Sec. 2, Fuxing S. Rd.",
    ),
    "500101002": StationTexts(
        "YouBike2.0_臺北車站", "中正區", "YouBike2.0_Taipei Main Station"
    ),
    "500101003": StationTexts("YouBike2.0_Vélib café", "大安區"),
}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("technology", ["500101001"]),
        ("daan mrt", ["500101001"]),
        ("mrt daan 235", ["500101001"]),
        ("fuxing", ["500101001"]),
        ("復興南路", ["500101001"]),
        ("台北", ["500101002"]),
        ("臺北車站", ["500101002"]),
        ("\uff34\uff41\uff49\uff50\uff45\uff49", ["500101002"]),
        ("velib CAFE", ["500101003"]),
        ("101003", ["500101003"]),
        ("大安區", ["500101001", "500101003"]),
        ("daan taipei", []),
        ("  ", ["500101001", "500101002", "500101003"]),
    ],
)
def test_a_search_looks_at_all_texts(query: str, ids: list[str]) -> None:
    """All words must occur, in any order, in any of the texts."""
    assert sorted(matching(TAIPEI, query)) == ids


def test_a_common_prefix_is_hidden_in_both_languages() -> None:
    """English where available, the publisher's own name elsewhere."""
    own = display_names(TAIPEI, english=False)
    english = display_names(TAIPEI, english=True)

    assert own["500101001"] == ("捷運科技大樓站", "大安區")
    assert english["500101001"] == ("MRT Technology Bldg. Sta.", "Daan Dist")
    assert english["500101003"] == ("Vélib café", "大安區")


@pytest.mark.parametrize(
    ("names", "hidden"),
    [
        (["YouBike2.0_A", "YouBike2.0_B", "YouBike2.0E_C", "YouBike2.0_D"], 1),
        (["Station 1", "Station 2", "Station 3"], 0),
        (["Market: east", "Park: west", "Quay: north"], 0),
        (["A_1", "A_2", None], 0),
        ([], 0),
    ],
)
def test_only_what_many_names_share_is_a_prefix(
    names: list[str | None], hidden: int
) -> None:
    """Words that are part of a name remain."""
    assert len(prefixes(names)) == hidden
