"""A day of trouble, played on a small disk; prints the gaps as JSON.

Run as a program in a mount namespace of its own: ``python trouble_day.py DATA CONFIG
MAIL``. DATA is mounted as a small tmpfs first, and also holds the user's state, so
that a full disk is full for everything.
"""

import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import trustme
from mailserver import MailServer

from bikecollect.core.run import Run
from bikecollect.core.slots import Slot
from bikecollect.feeds.http.client import Client
from bikecollect.reports import evidence
from bikecollect.reports.coverage import Gap
from bikecollect.setup.loader import parse
from bikecollect.simulator.city import City
from bikecollect.simulator.demo import Time
from bikecollect.simulator.server import LiveFeed, Outage
from bikecollect.wiring.collection import collect

HOUR = 3_600
BEGIN = 1_795_276_800.0  # midnight in Taipei
FULL = (11.0, 11.25)
OFF = (17.0, 17.0 + 40 / 60)
KILLED = 14.0
MAIL_DOWN = (2.0, 3.0)


def within(hour: float, span: tuple[float, float]) -> bool:
    """Return whether *hour* is in *span*."""
    return span[0] <= hour < span[1]


def play(
    data: Path, mail: MailServer, hours: float = 20.0
) -> tuple[list[Run], list[Gap]]:
    """Play the day in *data*; the mails are sent to *mail*. Return runs and gaps."""
    clock = Time(BEGIN)
    trouble = [
        Outage(BEGIN + 2 * HOUR, BEGIN + 5 * HOUR, "outage"),
        Outage(BEGIN + 8 * HOUR, BEGIN + 8.5 * HOUR, "renamed"),
    ]
    ballast = data / "ballast"
    runs = []
    with LiveFeed(City(50), clock=clock, outages=trouble) as feed, ExitStack() as up:
        settings = parse(
            {
                "data_dir": str(data / "bikes"),
                "systems": {
                    "city": {
                        "feed": "youbike",
                        "url": feed.youbike_url,
                        "timezone": "Asia/Taipei",
                    }
                },
                "mail": mail.settings(),
            }
        )
        up.enter_context(mail.up())
        serving = True
        for number in range(int(hours * 12)):
            hour = number / 12
            clock.now = BEGIN + number * 300 + 2
            down = within(hour, MAIL_DOWN)
            if down and serving:
                up.close()
            if not down and not serving:
                up.enter_context(mail.up())
            serving = not down
            if within(hour, FULL):
                fill(ballast)
            else:
                ballast.unlink(missing_ok=True)
            if within(hour, OFF):
                continue
            if hour == KILLED:
                die(lambda: collect(settings, clock=clock, stop=clock))
                continue
            runs += collect(
                settings, clock=clock, stop=clock, monotonic=clock, uptime=lambda: 9e5
            )
    end = Slot(int(BEGIN + hours * HOUR))
    account = evidence.read_account(
        settings.system_folder("city"), until=end, now=clock.now + 300
    )
    return runs, list(account.gaps)


def fill(ballast: Path) -> None:
    """Leave no free block on the disk."""
    with ballast.open("ab", buffering=0) as opened:
        for size in (65_536, 4_096, 1):
            try:
                while True:
                    opened.write(b"x" * size)
            except OSError:
                continue


def die(act: Callable[[], object]) -> None:
    """Start a run in a child, and kill it while it fetches."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():  # the feed's thread holds no lock that a run needs
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:

        def hang(*_: object, **__: object) -> None:
            os.write(writing, b"x")
            time.sleep(60)

        setattr(Client, "__call__", hang)  # mypy would not have it
        act()
        os._exit(0)
    os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)


def main() -> None:
    """Play the day and print how each slot ended."""
    data, folder, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    os.environ["XDG_STATE_HOME"] = str(data / "state")
    mail = MailServer(folder, port, trustme.CA())
    runs, gaps = play(data, mail)
    ends = [(run.outcome.value if run.outcome else "", run.error) for run in runs]
    spans = [((g.start - BEGIN) / HOUR, g.slots, g.cause) for g in gaps]
    sys.stdout.write(json.dumps({"ends": ends, "gaps": spans}))


if __name__ == "__main__":
    main()
