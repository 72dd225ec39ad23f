"""The one module that knows all real parts, and puts them together."""

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect import __version__, channels, folder, process
from bikecollect.client import Client
from bikecollect.columns import chosen
from bikecollect.commit import Committer
from bikecollect.cycle import Cycle
from bikecollect.feeds import registry
from bikecollect.heal import Healer
from bikecollect.incident import KINDS
from bikecollect.ledger import Ledger
from bikecollect.lock import Lock
from bikecollect.notifier import Server
from bikecollect.payloads import Payloads
from bikecollect.policy import Budget
from bikecollect.post import Post
from bikecollect.process import Stop
from bikecollect.redact import redactor
from bikecollect.rows import Format
from bikecollect.runlog import RunLogs, formatter
from bikecollect.settings import Mail, Settings
from bikecollect.stopwatch import Stopwatch
from bikecollect.store import Store
from bikecollect.teller import Hook, Place, Teller

Clock = Callable[[], float]


@dataclass(frozen=True)
class Times:
    """The clocks, and the wish to end that cuts waits short."""

    clock: Clock
    monotonic: Clock
    stop: Stop
    uptime: Clock = process.uptime


def zones(settings: Settings) -> dict[str, ZoneInfo]:
    """Return the time zone of each system."""
    return {name: ZoneInfo(each.timezone) for name, each in settings.systems.items()}


def cycle(settings: Settings, name: str, times: Times) -> Cycle:
    """Return the cycle of the system called *name*, with all real parts."""
    system, place = settings.systems[name], settings.data / name
    zone = ZoneInfo(system.timezone)
    columns = chosen(system.columns, settings.folder)
    payloads, store = Payloads(place / "payloads"), Store(place)
    ledger = Ledger(place / "ledger.sqlite3")
    feed = registry.build(
        system.feed,
        url=system.url,
        timezone=zone,
        language=system.language,
        mapping=system.mapping,
    )
    watch = Stopwatch(name)
    return Cycle(
        feed=feed,
        client=_client(settings, name, times),
        payloads=payloads,
        lock=Lock(
            place / "lock",
            patience=min(60.0, settings.seconds / 5),
            sleep=times.stop.sleep,
            monotonic=times.monotonic,
        ),
        ledger=ledger,
        healer=Healer(payloads, store, ledger),
        committer=Committer(
            feed=feed,
            format=Format(zone, columns.derived),
            zone=zone,
            interval=settings.seconds,
            payloads=payloads,
            store=store,
            ledger=ledger,
            watch=watch,
            redact=redactor(settings.secrets()),
        ),
        payload_days=settings.keep.payload_days,
        clock=times.clock,
        troubles=columns.troubles,
        watch=watch,
        redact=redactor(settings.secrets()),
    )


def _client(settings: Settings, name: str, times: Times) -> Client:
    system = settings.systems[name]
    return Client(
        budget=Budget.for_interval(settings.seconds),
        headers=system.headers,
        stop=times.stop,
        clock=times.clock,
        monotonic=times.monotonic,
        allow_redirects=system.redirects,
        trust_env=system.trust_env,
        proxy=system.proxy or None,
        ca_bundle=system.ca_bundle or None,
    )


def teller(settings: Settings, times: Times, troubles: Mapping[str, object]) -> Teller:
    """Return who tells of the runs; systems in *troubles* have no folder to use."""
    state = folder.state_home()
    places = {}
    for name, zone in zones(settings).items():
        data = settings.data / name
        away = state / "outbox" / name
        places[name] = Place(
            system_id=name,
            folder=data,
            outbox=away if troubles.get(name) else data / "outbox",
            jot=state / "incidents" / f"{name}.{_crc(str(data))}.json",
            zone=zone,
        )
    return Teller(
        places=places,
        interval=settings.seconds,
        post=post(settings, times),
        hooks=hooks(settings),
        muted=frozenset(settings.tell.mute),
        version=__version__,
        period=settings.mail.digest,
        redact=redactor(settings.secrets()),
    )


def settings_teller(settings: Settings, times: Times) -> tuple[Teller, Path]:
    """Return who tells of the settings file itself, and where that is noted."""
    state = folder.state_home()
    jot = state / "incidents" / f"settings.{_crc(settings.source)}.json"
    place = Place(
        system_id="settings",
        folder=state / "settings",
        outbox=state / "outbox" / "settings",
        jot=jot,
        zone=ZoneInfo("UTC"),
    )
    teller = Teller(
        places={"settings": place},
        interval=settings.seconds,
        post=post(settings, times),
        hooks=hooks(settings),
        muted=frozenset(KINDS) - {"settings"},
        version=__version__,
        redact=redactor(settings.secrets()),
    )
    return teller, jot


def post(settings: Settings, times: Times) -> Post | None:
    """Return the post, None where no mail server is set up."""
    mail = settings.mail
    if not mail.host:
        return None
    return Post(
        server=server(mail, settings.password()),
        sender=mail.sender,
        to=mail.to,
        escalate_to=mail.escalate_to,
        clock=times.clock,
        seconds=min(20.0, settings.seconds / 6),
    )


def server(mail: Mail, password: str) -> Server:
    """Return the mail server that *mail* names."""
    return Server(
        host=mail.host,
        port=mail.port,
        security=mail.security,
        user=mail.user,
        password=password,
        ca_bundle=mail.ca_bundle,
    )


def hooks(settings: Settings) -> dict[str, Hook]:
    """Return the ways of telling beside mails, by name."""
    found: dict[str, Hook] = {}
    patience = hook_seconds(settings)
    if settings.tell.webhook:
        url = settings.tell.webhook
        found["webhook"] = lambda text, _: channels.post(url, text, seconds=patience)
    if settings.tell.command:
        argv = settings.tell.command
        found["command"] = partial(channels.command, argv, seconds=patience)
    return found


def hook_seconds(settings: Settings) -> float:
    """Return how long a ping, a webhook or a command may take, in seconds."""
    return min(channels.DEADLINE, settings.seconds / 12)


def run_logs(settings: Settings, folders: Mapping[str, Path]) -> RunLogs:
    """Return the handler that writes the log files of the systems in *folders*."""
    handler = RunLogs(
        folders, max_bytes=settings.log.max_bytes, files=settings.log.files
    )
    handler.setFormatter(formatter(settings.log.format, redactor(settings.secrets())))
    return handler


def _crc(text: str) -> str:
    return f"{zlib.crc32(os.fsencode(text)):08x}"
