"""YouBike's pages through HTTP: limited in number and bytes, and reported."""

import json
from collections.abc import Callable
from datetime import UTC

from served import Answer, serving
from test_client import client

from bikecollect.core.payload import Memory
from bikecollect.feeds.http.retry import Budget
from bikecollect.feeds.youbike import YouBike


def pages(total: int, size: int, padding: int = 0) -> Callable[[str], Answer]:
    """Return a server of pages of *size* stations that claims *total* of them."""

    def answer(path: str) -> Answer:
        number = int(path.partition("page=")[2].partition("&")[0])
        first = {"sbi": 1, "bemp": 2, "sna": "x" * padding}
        stations = [{**first, "sno": f"{number}-{n}"} for n in range(size)]
        return Answer(json.dumps({"total": total, "records": stations}).encode())

    return answer


def test_the_number_of_pages_is_limited() -> None:
    """Of a feed that claims 99,000 stations a hundred pages are read (partial)."""
    with serving(pages(99_000, 2)) as url:
        feed = YouBike(f"{url}/list?page=0&size=2", UTC)
        fetched = feed.fetch(client(Budget()), Memory())

    assert len(fetched.documents) == 100
    assert fetched.incomplete == "there are more than 100 pages"


def test_pages_end_at_the_byte_limit_of_the_run() -> None:
    """The pages until then are kept, and the payload is incomplete."""
    with serving(pages(99_000, 10, padding=10_000)) as url:
        feed = YouBike(f"{url}/list?page=0&size=10", UTC)
        budget = Budget(inflated_bytes=200_000, run_bytes=450_000)
        fetched = feed.fetch(client(budget), Memory())

    assert [document.name for document in fetched.documents] == [
        *("page-0", "page-1", "page-2", "page-3")
    ]
    assert fetched.incomplete.startswith(f"page 4 failed: {url}/list is too large")
