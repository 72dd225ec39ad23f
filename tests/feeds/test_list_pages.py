"""Lists that a server gives in pages, or truncates silently."""

import json
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from publisher import Publisher, publishing
from served import Answer

from bikecollect.alerts import signals
from bikecollect.core.errors import FeedUnavailable, Outcome
from bikecollect.core.payload import Document, Memory
from bikecollect.core.run import Run
from bikecollect.feeds.paging import PagedList

Query = Mapping[str, str]
ROWS = 73


def station(number: int) -> dict[str, Any]:
    """Return one station of a YouBike list."""
    counts = {"sbi": number % 7, "bemp": 9, "tot": 20}
    return {"sno": f"5002{number:05}", "sna": f"Stop {number}", **counts}


ALL = [station(number) for number in range(ROWS)]


def paged(
    size: str = "", page: str = "", offset: str = "", *, first: int = 0, most: int = 20
) -> Callable[[Query], list[dict[str, Any]]]:
    """Return a server that obeys the named parameters only, and gives 20 by default."""

    def answer(query: Query) -> list[dict[str, Any]]:
        number = min(int(query.get(size, 20)), most)
        begin = (int(query.get(page, first)) - first) * number
        begin = int(query.get(offset, begin))
        return ALL[begin : begin + number]

    return answer


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a YouBike system by an interface with a query."""
    address = "/f?rid=x&format=json"
    with publishing(tmp_path, feed="youbike", path=address) as publisher:
        yield publisher


def partial(run: Run) -> str:
    """Return why *run* is flagged partial, or an empty text."""
    assert run.outcome is Outcome.COLLECTED
    texts = [notice.text for notice in run.notices if notice.kind == "partial"]
    assert bool(texts) is ("partial" in run.flags)
    return "\n".join(texts)


@pytest.mark.parametrize(
    "server",
    [
        paged("limit", most=5000),
        paged("size", most=5000),
        paged("rows", most=5000),
        paged("limit", most=50, offset="offset"),
        paged("limit", most=30, offset="offset"),
        paged("size", "page", most=30),
        paged(offset="offset"),
        paged(page="page"),
        paged(page="page", first=1),
    ],
)
def test_further_pages_are_requested_and_the_parameter_is_stored(
    city: Publisher, server: Callable[[Query], Any]
) -> None:
    """A list has 20 of 73 stations: the others are requested in each slot, too."""
    city.documents["/f"] = server
    first = city.fetch()
    second = city.fetch()

    assert (first.rows, second.rows) == (ROWS, ROWS)
    assert (partial(first), partial(second)) == ("", "")
    assert len(city.asked) <= 5
    assert all("rid=x&format=json" in path for path in city.asked)


@pytest.mark.parametrize(
    ("address", "most", "pages"),
    [("/f?lang=fr", 100, 1), ("/f?limit=2", 100, 1), ("/f?lang=fr", 2, 37)],
)
def test_larger_pages_are_requested_of_a_list_with_many(
    tmp_path: Path, address: str, most: int, pages: int
) -> None:
    """As Opendatasoft's: ten by default, a hundred at most, an error for more.

    Where no larger ones are to be had, that is remembered, too.
    """

    def answer(query: Query) -> Any:
        size, begin = int(query.get("limit", 2)), int(query.get("offset", 0))
        page = {"total_count": ROWS, "results": ALL[begin : begin + size]}
        return page if size <= most else Answer(b'{"error_code": "x"}', 400)

    with publishing(tmp_path, feed="youbike", path=address) as city:
        city.documents["/f"] = answer
        first, asked = city.fetch(), len(city.asked)
        second = city.fetch()

        assert (first.rows, second.rows) == (ROWS, ROWS)
        assert (partial(first), partial(second)) == ("", "")
        assert asked <= pages + 5
        assert len(city.asked) == pages


def test_a_server_that_gives_no_more_is_flagged(city: Publisher) -> None:
    """Each slot is partial; further pages are requested once a day only."""
    city.documents["/f"] = ALL[:20]
    runs = [city.fetch(), city.fetch()]
    count = len(city.asked)
    city.fetch(after=86_400)

    assert all("exactly 20 stations were received" in partial(run) for run in runs)
    assert count == 1
    assert len(city.asked) > 3


def test_rows_that_never_have_an_id_are_reported_once(city: Publisher) -> None:
    """As in Switzerland's feed: no incident, unless they become many."""
    city.documents["/f"] = [*ALL, {**ALL[0], "sno": None}]
    runs = [city.fetch(), city.fetch()]
    city.documents["/f"] = [*ALL, *({**row, "sno": None} for row in ALL[:9])]
    many = city.fetch()

    told = [[notice.text for notice in run.notices] for run in runs]
    assert [run.flags for run in (*runs, many)] == [
        ("partial", "drift"),
        ("partial",),
        ("partial",),
    ]
    assert "1 of 74 stations have no id that can be read" in told[0][0]
    assert told[1] == []
    assert [signals.of_run(run, None)["partial"] for run in runs] == [None, None]
    assert signals.of_run(many, None)["partial"] is not None


def test_a_list_after_which_a_page_is_empty_is_complete(city: Publisher) -> None:
    """The server pages, and there is no more: remembered, and asked each day."""
    first = ALL[:20]
    city.documents["/f"] = lambda query: first[int(query.get("offset", 0)) :]
    runs = [city.fetch(), city.fetch(), city.fetch(after=86_400), city.fetch()]

    assert [partial(run) for run in runs] == [""] * 4
    assert len(city.asked) == 1

    city.documents["/f"] = first
    later = [city.fetch(after=86_400), city.fetch()]

    assert all("exactly 20 stations were received" in partial(run) for run in later)


@pytest.mark.parametrize(
    ("address", "status"),
    [("/f?rid=x", 404), ("/f?rid=x", 410)]
    + [("/f?rid=x&page=1", status) for status in (400, 404, 422)],
)
def test_a_list_after_which_pages_are_refused_for_a_day_is_complete(
    tmp_path: Path, address: str, status: int
) -> None:
    """Partial on the first day, told once as complete, asked for more each day."""
    with publishing(tmp_path, feed="youbike", path=address) as city:
        refusal = Answer(b"{}", status)
        city.documents["/f"] = lambda query: (
            ALL[:20] if set(query.items()) <= {("rid", "x"), ("page", "1")} else refusal
        )
        before = [city.fetch(), city.fetch()]
        after = [city.fetch(after=86_400), city.fetch(), city.fetch(after=86_400)]
        city.documents["/f"] = ALL[:21]
        grown = city.fetch(after=86_400)

    told = [notice.text for run in after for notice in run.notices]
    assert all(map(partial, before))
    assert [partial(run) for run in after] == [""] * 3
    assert [text.partition(":")[0] for text in told] == [
        "the list has had exactly 20 stations for a day, and the server refuses "
        "requests for more"
    ]
    assert (grown.rows, partial(grown)) == (21, "")


@pytest.mark.parametrize("status", [400, 422])
def test_a_list_whose_server_refuses_unknown_parameters_is_never_complete(
    city: Publisher, status: int
) -> None:
    """It may page by a parameter of another name, which nobody can guess."""
    known = {"rid", "format", "seite"}
    city.documents["/f"] = lambda query: (
        ALL[:20] if query.keys() <= known else Answer(b"{}", status)
    )
    runs = [city.fetch(after=day * 86_400) for day in (0, 1, 1, 1)]

    assert all("exactly 20 stations were received" in partial(run) for run in runs)


@pytest.mark.parametrize(
    ("statuses", "is_whole"),
    [
        ((404, 503, 503), False),
        ((404, 503, 404), True),
        ((404, 404, 503), True),
    ],
)
def test_a_list_is_complete_if_its_next_page_is_refused_a_day_later_too(
    city: Publisher, statuses: tuple[int, ...], *, is_whole: bool
) -> None:
    """A server that is down does not say that there are no more pages."""
    runs = []
    for day, status in enumerate(statuses):
        refusal = Answer(b"{}", status)
        city.documents["/f"] = lambda query, refusal=refusal: (
            ALL[:20] if query.keys() <= {"rid", "format"} else refusal
        )
        runs += [city.fetch(after=86_400 * min(day, 1))]
    runs += [city.fetch()]

    assert [bool(partial(run)) for run in runs[-2:]] == [not is_whole] * 2


def test_refusals_that_were_noted_while_the_clock_was_ahead_do_not_count() -> None:
    """Of two, a day apart, the list is complete: not only when that time comes."""

    def get(name: str, url: str, **_: object) -> Document:
        if "offset" in url or "page" in url:
            raise FeedUnavailable("refused", cause="http-404")
        return Document(name, json.dumps(ALL[:20]).encode(), url)

    paged_list = PagedList("http://a/f?x=1", json.loads, itemgetter("sno"), json.loads)
    memory, missing = Memory(), []
    for day in (365, 0, 1, 2):
        memory = memory._replace(now=1.8e9 + day * 86_400)
        payload = paged_list.fetch(get, memory)
        memory = memory._replace(notes={**memory.notes, **payload.notes})
        missing.append(bool(payload.incomplete))

    assert missing == [True, True, False, False]


def test_another_list_after_which_pages_are_refused_is_partial_for_a_day(
    city: Publisher,
) -> None:
    """What was found out of fifty stations says nothing of twenty."""
    refusal = Answer(b"{}", 404)
    city.documents["/f"] = lambda query: refusal if len(query) > 2 else ALL[:50]
    city.fetch()
    whole = city.fetch(after=86_400)
    city.documents["/f"] = lambda query: refusal if len(query) > 2 else ALL[:20]
    fewer = [city.fetch(), city.fetch(), city.fetch(after=86_400)]

    assert partial(whole) == ""
    assert [bool(partial(run)) for run in fewer] == [True, True, False]


@pytest.mark.parametrize("rows", [10, 20, 30, 50, 100, 200, 500, 1000, 2000])
def test_usual_page_sizes_are_recognised(city: Publisher, rows: int) -> None:
    """The default differs from city to city."""
    city.documents["/f"] = [station(number) for number in range(rows)]

    assert f"exactly {rows} stations were received" in partial(city.fetch())


def test_a_list_that_grows_by_little_is_not_taken_for_a_page(city: Publisher) -> None:
    """19 yesterday, then 20 for long: the list is known to be complete."""
    city.documents["/f"] = ALL[:19]
    runs = [city.fetch()]
    city.documents["/f"] = ALL[:20]
    runs += [city.fetch(), city.fetch(), city.fetch()]

    assert [partial(run) for run in runs] == [""] * 4


def test_a_list_that_is_cut_overnight_is_flagged_at_once(city: Publisher) -> None:
    """73 stations, then 20: partial, and far fewer than usual."""
    city.documents["/f"] = ALL
    city.fetch()
    city.documents["/f"] = ALL[:20]
    run = city.fetch()

    assert "exactly 20 stations were received" in partial(run)
    assert "short" in run.flags


def test_a_plain_file_of_twenty_stations_is_no_page(tmp_path: Path) -> None:
    """Its address has no query: no further request, no flag."""
    with publishing(tmp_path, feed="youbike", path="/list.json") as city:
        city.documents["/list.json"] = ALL[:20]
        run = city.fetch()

        assert partial(run) == ""
        assert city.asked == ["/list.json"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"total": 73, "retVal": ALL[:20]}, {}),
        ({"result": {"total": "73", "records": ALL[:20]}}, {}),
        ({"totalCount": 73, "data": ALL[:20]}, {}),
        ({"@odata.count": 73, "records": ALL[:20]}, {}),
        (ALL[:20], {"X-Total-Count": "73"}),
        (ALL[:20], {"Content-Range": "items 0-19/73"}),
    ],
)
def test_a_total_that_is_not_reached_is_flagged_from_the_first_slot(
    city: Publisher, body: object, headers: dict[str, str]
) -> None:
    """20 of 73: partial, and thin, without any history."""
    city.documents["/f"] = Answer(json.dumps(body).encode(), headers=headers)
    run = city.fetch()

    assert partial(run) == "only 20 of 73 stations were received"
    assert {"partial", "short"} <= set(run.flags)


@pytest.mark.parametrize("rows", [ALL[:20], [*ALL[:19], ALL[0]]])
def test_a_list_that_reaches_its_total_is_complete(city: Publisher, rows: Any) -> None:
    """Twenty of twenty, a station twice or not: nothing is requested or reported."""
    city.documents["/f"] = {"total": 20, "retVal": rows}
    run = city.fetch()

    assert partial(run) == ""
    assert len(city.asked) == 1


def test_a_total_that_is_stated_is_paged_to_its_end(city: Publisher) -> None:
    """By an offset, if the address has no parameter for pages."""

    def answer(query: Query) -> object:
        begin = int(query.get("offset", 0))
        return {"total": ROWS, "retVal": ALL[begin : begin + 20]}

    city.documents["/f"] = answer
    run = city.fetch()

    assert (run.rows, partial(run)) == (ROWS, "")
    assert len(city.asked) == 4


@pytest.mark.parametrize("where", ["body", "header"])
def test_the_next_page_that_is_named_is_followed(city: Publisher, where: str) -> None:
    """As a link in the answer, or in its headers."""

    def answer(query: Query) -> object:
        begin = int(query.get("cursor", 0))
        following = f"/f?rid=x&cursor={begin + 20}" if begin < 60 else None
        page = {"next": following, "data": ALL[begin : begin + 20]}
        if where == "body":
            return page
        link = {"Link": f'<{following}>; rel="next"'} if following else {}
        return Answer(json.dumps(page["data"]).encode(), headers=link)

    city.documents["/f"] = answer
    run = city.fetch()

    assert (run.rows, partial(run)) == (ROWS, "")


def test_a_next_page_on_another_host_is_not_requested(city: Publisher) -> None:
    """A list does not lead to another host."""
    page = {"next": "http://192.0.2.1/f?page=2", "total": ROWS, "data": ALL[:20]}
    city.documents["/f"] = page
    run = city.fetch()

    assert partial(run) == "only 20 of 73 stations were received"
    assert run.outcome is Outcome.COLLECTED


def test_pages_of_a_capped_size_are_requested_to_the_end(tmp_path: Path) -> None:
    """The server gives 50 of the 5,000 requested: the next pages follow."""
    address = "/f?page=0&size=5000"
    with publishing(tmp_path, feed="youbike", path=address) as city:
        city.documents["/f"] = paged("size", "page", most=50)
        run = city.fetch()

        assert (run.rows, partial(run)) == (ROWS, "")
        assert len(city.asked) == 2


def test_pages_whose_order_changes_are_flagged(tmp_path: Path) -> None:
    """A station on two pages means that another one is on none."""
    with publishing(tmp_path, feed="youbike", path="/f?page=0&size=50") as city:
        pages = {"0": ALL[:50], "1": [ALL[0], *ALL[51:]]}
        city.documents["/f"] = lambda query: pages.get(query["page"], [])
        run = city.fetch()

        assert partial(run) == "1 stations are on two pages: as many may be missing"
        assert run.rows == ROWS - 1

        pages["1"] = [ALL[51], *ALL[50:]]
        twice = city.fetch()
        assert (partial(twice), twice.rows) == ("", ROWS)  # on one page: nothing lacks


@pytest.mark.parametrize("last", [[ALL[59]], [], Answer(b"", 404)])
def test_a_station_twice_on_a_page_does_not_end_the_list(
    tmp_path: Path, last: Any
) -> None:
    """The stated total may be that of stations or of rows: one more page tells."""
    with publishing(tmp_path, feed="youbike", path="/f?page=0&size=30") as city:
        pages = {"0": [*ALL[:29], ALL[0]], "1": ALL[29:59], "2": last}

        def answer(query: Query) -> Any:
            page = pages[query["page"]]
            return {"total": 60, "retVal": page} if isinstance(page, list) else page

        city.documents["/f"] = answer
        run = city.fetch()

        assert partial(run) == ""
        assert run.rows == (60 if last == [ALL[59]] else 59)


def test_a_missing_page_does_not_lose_the_others(tmp_path: Path) -> None:
    """The list is partial, not lost."""
    with publishing(tmp_path, feed="youbike", path="/f?page=0&size=50") as city:
        city.documents["/f"] = lambda query: (
            ALL[:50] if query["page"] == "0" else Answer(b"", 404)
        )
        run = city.fetch()

        assert "page 1 failed" in partial(run)
        assert run.rows == 50


def test_parameters_that_no_longer_work_are_dropped(city: Publisher) -> None:
    """A server that rejects a stored parameter is requested without it."""
    city.documents["/f"] = paged("limit", most=5000)
    city.fetch()
    city.documents["/f"] = lambda query: Answer(b"", 400) if "limit" in query else ALL
    run = city.fetch()

    assert (run.rows, partial(run)) == (ROWS, "")


def test_further_pages_of_a_mapped_feed_are_requested(tmp_path: Path) -> None:
    """Any mapped JSON may be truncated as well."""
    mapping = {
        "stations": "items",
        "station_id": "sno",
        "num_vehicles_available": "sbi",
    }
    with publishing(
        tmp_path, feed="mapped", path="/f?format=json", mapping=mapping
    ) as city:
        server = paged(offset="offset")
        city.documents["/f"] = lambda query: {"items": server(query)}
        run = city.fetch()

        assert (run.rows, partial(run)) == (ROWS, "")


@pytest.mark.parametrize(
    "end",
    [
        {"items": None},
        {"items": {}},
        Answer(b'{"detail": "Invalid page."}', 404),
        Answer(b"{}", 400),
        Answer(b"", 204),
    ],
    ids=["null", "object", "404", "400", "204"],
)
def test_an_error_beyond_the_last_page_is_its_end(tmp_path: Path, end: object) -> None:
    """The list is complete, and the slot's time is not spent on retries."""
    mapping = {
        "stations": "items",
        "station_id": "sno",
        "num_vehicles_available": "sbi",
    }
    with publishing(tmp_path, feed="mapped", path="/f?page=1", mapping=mapping) as city:
        server = paged(page="page", first=1)
        full = {number: {"items": server({"page": number})} for number in "123"}
        city.documents["/f"] = lambda query: full.get(query["page"], end)
        run = city.fetch()

        assert (run.rows, partial(run)) == (60, "")
        assert len(city.asked) <= 5


def test_an_error_amid_the_pages_is_not_their_end(tmp_path: Path) -> None:
    """The stations of the slots before are missing, until the pages are back."""
    with publishing(tmp_path, feed="youbike", path="/f?page=1") as city:
        server = paged(page="page", first=1)
        city.documents["/f"] = server
        before = city.fetch()
        city.documents["/f"] = lambda query: (
            server(query) if query["page"] < "3" else Answer(b"{}", 400)
        )
        during = [city.fetch() for _ in range(3)]
        city.documents["/f"] = server
        after = city.fetch()

    assert [run.rows for run in (before, *during, after)] == [ROWS, 40, 40, 40, ROWS]
    assert all("page 2 failed" in partial(run) for run in during)
    assert (partial(before), partial(after)) == ("", "")


def test_a_list_that_is_shorter_for_a_day_is_complete(tmp_path: Path) -> None:
    """Stations were removed, and an error is the end of the pages."""
    with publishing(tmp_path, feed="youbike", path="/f?page=1") as city:
        server = paged(page="page", first=1)
        city.documents["/f"] = server
        city.fetch()
        city.documents["/f"] = lambda query: (
            server(query) if query["page"] < "3" else Answer(b"{}", 400)
        )
        first = city.fetch()
        city.fetch(after=86_400)
        last = city.fetch()

    assert "page 2 failed" in partial(first)
    assert (last.rows, partial(last)) == (40, "")


def test_the_parameters_of_another_address_are_forgotten(city: Publisher) -> None:
    """A new address in the settings is requested as it is written there."""
    city.documents["/f"] = paged("limit", most=5000)
    city.fetch()
    city.documents["/new"] = lambda query: Answer(b"", 500) if query else ALL
    city.path = "/new"
    run = city.fetch()

    assert (run.rows, city.asked) == (ROWS, ["/new"])


def test_a_second_page_that_is_refused_is_reported(tmp_path: Path) -> None:
    """It is no proof that the first was all."""
    with publishing(tmp_path, feed="youbike", path="/f?page=1") as city:
        city.documents["/f"] = lambda query: (
            ALL[:20] if query["page"] == "1" else Answer(b"{}", 400)
        )

        assert "page 1 failed" in partial(city.fetch())


def test_a_total_of_the_page_does_not_end_a_list_with_a_next_page(
    city: Publisher,
) -> None:
    """Some servers state the length of the page as the total."""
    city.documents["/f"] = stating(
        lambda after, base: {
            "total": SIZE,
            "next": after and f"{base}/f?offset={after}",
        },
        city.base,
    )

    assert city.fetch().rows == ROWS


SIZE = 35
"""The size of a page that no one would suspect."""
Fields = Callable[[int, str], Mapping[str, Any]]


def stating(fields: Fields, base: str = "") -> Callable[[Query], Answer]:
    """Return a server of 35 stations a page, with *fields* beside them.

    They are a function of where the next page begins, 0 for the last page, and of the
    server's address.
    """

    def answer(query: Query) -> Answer:
        begin = int(query.get("offset", 0)) or (int(query.get("page", 1)) - 1) * SIZE
        after = begin + SIZE if begin + SIZE < ROWS else 0
        page = {"results": ALL[begin : begin + SIZE], **fields(after, base)}
        return Answer(json.dumps(page).encode())

    return answer


@pytest.mark.parametrize(
    "fields",
    [
        lambda after, base: {"count": ROWS},
        lambda after, base: {"nhits": str(ROWS)},
        lambda after, base: {"TotalCount": ROWS},
        lambda after, base: {"total_rows": ROWS},
        lambda after, base: {"hydra:totalItems": ROWS},
        lambda after, base: {"meta": {"pagination": {"total": ROWS}}},
        lambda after, base: {"page": {"totalElements": ROWS}},
        lambda after, base: {"last_page": 3},
        lambda after, base: {"has_more": after > 0},
        lambda after, base: {"pageInfo": {"hasNextPage": after > 0}},
        lambda after, base: {"next": after and f"{base}/f?offset={after}"},
        lambda after, base: {"next": after and f"?offset={after}"},
        lambda after, base: {"next": after and f"http://app:8080/f?offset={after}"},
        lambda after, base: {"next_page_url": after and f"/f?offset={after}"},
        lambda after, base: {"next_page": after and after // SIZE + 1},
        lambda after, base: {"next": {"href": f"/f?offset={after}"} if after else None},
        lambda after, base: {"_links": {"next": f"/f?offset={after}"} if after else {}},
        lambda after, base: {
            "links": [{"rel": "next", "href": f"/f?offset={after}"}] if after else []
        },
    ],
)
def test_each_statement_of_further_pages_is_followed(
    city: Publisher, fields: Fields
) -> None:
    """By a total, a number of pages, a flag, or an address: all 73 are collected."""
    city.documents["/f"] = stating(fields, city.base)
    run = city.fetch()

    assert run.rows == ROWS
    assert partial(run) == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Total-Count", "73"),
        ("X-WP-Total", "73"),
        ("X-Pagination-Total-Count", "73"),
        ("X-Pagination", '{"TotalCount": 73, "PageSize": 35}'),
    ],
)
def test_a_total_in_a_header_is_read(city: Publisher, name: str, text: str) -> None:
    """Each framework has its own header."""

    def answer(query: Query) -> Answer:
        begin = int(query.get("offset", 0))
        page = json.dumps(ALL[begin : begin + SIZE])
        return Answer(page.encode(), headers={name: text})

    city.documents["/f"] = answer

    assert city.fetch().rows == ROWS


def test_a_next_page_on_another_host_is_not_requested_but_reported(
    city: Publisher,
) -> None:
    """The slot is partial and the host is named."""
    link = "https://elsewhere.example/g?offset=35"
    city.documents["/f"] = stating(lambda after, base: {"next": link})

    assert partial(city.fetch()) == (
        "the next page is on another host and not requested: "
        "https://elsewhere.example/g"
    )


def test_further_pages_that_cannot_be_fetched_are_reported(city: Publisher) -> None:
    """The server announces more, and gives the first page each time."""
    city.documents["/f"] = {"results": ALL[:SIZE], "has_more": True}

    assert partial(city.fetch()) == (
        "the response states more pages than the 35 stations that were received"
    )


def test_a_count_of_the_page_is_no_total(city: Publisher) -> None:
    """If `count` is the length of the page, a usual page size is still suspicious."""
    city.documents["/f"] = {"results": ALL[:20], "count": 20}

    assert "exactly 20 stations were received" in partial(city.fetch())
