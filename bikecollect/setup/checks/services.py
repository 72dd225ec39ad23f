"""Checks of what is reached over the network: feeds, mirror, mail server, ping."""

import os
import time

from bikecollect import __version__
from bikecollect.alerts import webhooks
from bikecollect.alerts.mail import headers, smtp
from bikecollect.alerts.system_state import SystemAlertState
from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.folder import check_folder, is_missing
from bikecollect.archive.mirror.store.object_store import ObjectStore
from bikecollect.archive.mirror.waiting import mirror_standing
from bikecollect.core.errors import BikecollectError, MirrorUnavailable, NotInstalled
from bikecollect.core.text import length
from bikecollect.setup.checks import remedies
from bikecollect.setup.checks.check import Check, Checks, bad, good, note, parted
from bikecollect.setup.checks.idle_settings import idle_mail
from bikecollect.setup.probe import try_system
from bikecollect.setup.program import page
from bikecollect.setup.settings import Settings, System
from bikecollect.setup.tables.sections import Mail
from bikecollect.setup.trial import Trial

SKEW = 60.0
"""Seconds by which the clocks of the feed and of this machine may differ."""

SECURITIES = {"none": "without TLS", "starttls": "STARTTLS", "tls": "TLS"}


def check_feed(name: str, system: System) -> Checks:
    """Fetch and read the feed of the system *name* once."""
    check_name = f"{name}: feed"
    try:
        trial = try_system(name, system)
    except BikecollectError as error:
        yield bad(check_name, str(error), remedies.for_feed(name, error))
        return
    doubted = trial.zone_doubt
    if doubted is not None and doubted.is_wrong:
        remedy = f"correct timezone in [systems.{name}] of the settings"
        if doubted.is_evident:
            remedy += f"; probably {trial.fitting_zone}"
        else:  # the publisher's clock may be wrong
            remedy += f" if it is wrong; the stamps fit {trial.fitting_zone}"
        yield bad(check_name, str(doubted), remedy)
    elif trial.oddities:
        text = f"{trial.counts}; {trial.oddities[0]}"
        yield note(check_name, text, f"bikecollect feeds try {name}")
    else:
        text = f"{trial.counts}, all understood, {trial.seconds:.1f} s"
        yield good(check_name, text)
    yield from _clock(check_name, trial)


def _clock(name: str, trial: Trial) -> Checks:
    skew = trial.clock_offset
    if skew is None:
        return
    if abs(skew) > SKEW:
        text = f"this machine's clock differs from the feed's by {length(abs(skew))}"
        yield bad(name, text, remedies.set_clock())
    else:
        text = f"its clock and this machine's agree within {abs(skew):.0f} s"
        yield good(name, text)


def check_mirror(settings: Settings, *, network: bool) -> Checks:
    """Check the mirror, and whether days of a system are missing in it."""
    address, first = settings.archive.mirror, ""
    try:
        place = MirrorAddress.parse(address)
        check_folder(place, settings.data)
        yield _reached(place, network=network)
    except NotInstalled:
        text = f"{address}: obstore is not installed"
        yield bad("mirror", text, "pip install 'bikecollect[cloud]'")
    except BikecollectError as error:
        text, remedy = parted(str(error))
        remedy = remedy or f"see {page('how-to/mirror-the-archive.md')}"
        yield bad("mirror", text, remedy)
        first = "once the mirror can be used: "
    now, has_live = time.time(), False
    for name in settings.systems:
        standing = mirror_standing(settings.data, name, address)
        has_live |= standing.live is not None
        if standing.is_behind(now):
            remedy = f"{first}bikecollect push {name}"
            yield bad(f"{name}: mirror", standing.text(now), remedy)
        elif standing.live and standing.live.error:
            remedy = f"{first}bikecollect push --live {name}"
            yield bad(f"{name}: mirror", standing.text(now), remedy)
        elif standing.waiting:
            text = standing.text(now)
            yield note(f"{name}: mirror", text, "the next `compact` copies them")
        else:
            yield good(f"{name}: mirror", standing.text(now))
    if not (has_live or first):
        text = "only closed days are copied: the loss of this machine is that of a day"
        remedy = (
            f"a cron line for `push --live`: {page('how-to/mirror-the-archive.md')}"
        )
        yield note("mirror: open days", text, remedy)


def _reached(place: MirrorAddress, *, network: bool) -> Check:
    """Return whether the mirror can be used; it is not created."""
    try:
        store = ObjectStore(place)
        if network:
            store.find("archive")
    except MirrorUnavailable:
        if not is_missing(place):
            raise
        remedy = "`push` creates it; first mount its disk"
        return note("mirror", f"{place} does not exist yet", remedy)
    state = "reachable" if network else "not contacted"
    return good("mirror", f"{place}, {state}")


def check_mail(settings: Settings, *, network: bool, send: bool) -> Checks:
    """Check the mail server; *send* sends a test mail."""
    mail = settings.mail
    idle = [*idle_mail(mail)]
    for text, remedy in idle:
        yield note("mail", text, remedy)
    if not mail.host:
        remedy = "add [mail] to the settings"
        if send:
            yield bad("mail", "no test mail was sent: mail.host is not set", remedy)
        elif not idle:
            yield note("mail", "no recipient for alerts", remedy)
        return
    address = f"{mail.host}:{mail.port}, {SECURITIES[mail.security]}"
    host = settings.mail_server()
    if not network and not host.error:
        yield good("mail", address)
        return
    if send:
        error = test_mail(mail, host)
        text = f"{address}: test mail sent to {', '.join(mail.to)}"
    else:
        error = log_in(mail, host)
        text = f"{address}: {'logged in' if mail.user else 'connected'}"
    if error:
        is_named = f"{mail.host}:{mail.port}" in error
        text = error if is_named else f"{address}: {error}"
        yield bad("mail", text, "check [mail] in the settings")
    else:
        if send:
            _close_mail_incident(settings)
        yield good("mail", text)


def log_in(mail: Mail, host: smtp.Server) -> str:
    """Return why the server *host* of *mail* cannot be used, empty if it can."""
    return smtp.check(host, headers.bare(mail.sender), mail.to)


def _close_mail_incident(settings: Settings) -> None:
    """Let the next run close an incident about mails, because a mail was sent."""
    for name in settings.systems:
        SystemAlertState.of(settings.system_folder(name)).clear_mail_error()


def test_mail(mail: Mail, host: smtp.Server) -> str:
    """Send a test mail to the recipients of *mail*; return the error, or ""."""
    from bikecollect.alerts.mail import envelope
    from bikecollect.alerts.messages import Letter

    node, now = os.uname().nodename, time.time()
    letter = Letter(
        f"test.{now:.0f}",
        "[bikecollect] test mail",
        f"bikecollect {__version__} on {node} can send mails.\n",
    )
    audience = envelope.Audience(mail.sender, mail.to)
    result = smtp.send(host, [envelope.mail(letter, audience, host=node, now=now)])
    return result.error or result.deliveries[0].error


def check_ping(settings: Settings) -> Check:
    """Ping the address of the dead-man switch, without a success or a failure."""
    error = webhooks.ping(settings.ping.url, "log")
    if error:
        return bad("ping", error, "check [ping] in the settings")
    return good("ping", "reachable")
