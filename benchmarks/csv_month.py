"""Make a month of a city as CSV that nobody compacted: csv_month.py FOLDER [DAYS].

Then, in a control group of 256 MB: bikecollect --config FOLDER/bikecollect.toml report
hours --format csv. A day is simulated; the others are its rows under their own dates.
"""

import sys
from itertools import pairwise
from pathlib import Path

import year

from bikecollect.core.slots import DAY, Slot, day_of
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import MARKER
from bikecollect.storage.files.durable import make_folder
from bikecollect.storage.files.marker import MARK
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.recovery import Recovery


def main() -> None:
    """Make the month."""
    folder = Path(sys.argv[1])
    days = int(sys.argv[2]) if sys.argv[2:] else 30
    system = folder / "bikes" / year.SYSTEM
    make_folder(system)
    (system / MARKER).write_bytes(MARK)
    newest = year.TODAY - DAY
    year.write_sheet(system, newest, newest + DAY)
    names = [_name(newest - number * DAY).encode() for number in range(days + 1)]
    text = (system / f"station_status/{names[0].decode()}.csv").read_bytes()
    for day, eve in pairwise(names[1:]):
        moved = text.replace(names[1], b"EVE").replace(names[0], day)
        path = system / f"station_status/{day.decode()}.csv"
        path.write_bytes(moved.replace(b"EVE", eve))
    ledger, store = Ledger(system / "ledger.sqlite3"), Store(system)
    ledger.open()
    Recovery(Payloads(system / "payloads"), store, ledger, year.ZONE).recover_files()
    ledger.close()
    (folder / "bikecollect.toml").write_text(
        f'data_dir = "bikes"\n[systems.{year.SYSTEM}]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1/"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )


def _name(moment: int) -> str:
    return day_of(Slot(moment), year.ZONE)


if __name__ == "__main__":
    main()
