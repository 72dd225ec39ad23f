"""The timetable: the crontab's lines, the timer's units, and when they fire next."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from bikecollect.errors import SettingsError
from bikecollect.slot import DAY

BEGIN = "# >>> bikecollect >>>"
END = "# <<< bikecollect <<<"
MINUTE, HOUR = 60, 3_600


@dataclass(frozen=True)
class Job:
    """What the scheduler starts: *command* with its arguments, every *interval* s."""

    command: Sequence[str]
    interval: int

    @property
    def line(self) -> str:
        """The command as a shell reads it; cron's percent signs are escaped."""
        return shlex.join(self.command).replace("%", "\\%")


def expression(interval: int) -> str:
    """Return the five fields of a crontab that fire every *interval* seconds.

    Raises SettingsError for an interval that cron cannot keep.

    >>> expression(300), expression(3_600), expression(86_400)
    ('*/5 * * * *', '0 * * * *', '0 0 * * *')
    """
    if interval % MINUTE == 0 and interval < HOUR and HOUR % interval == 0:
        minutes = interval // MINUTE
        return "* * * * *" if minutes == 1 else f"*/{minutes} * * * *"
    if interval % HOUR == 0 and DAY % interval == 0:
        hours = interval // HOUR
        when = {1: "*", 24: "0"}.get(hours, f"*/{hours}")
        return f"0 {when} * * *"
    raise SettingsError(
        f"cron cannot start a run every {interval} s; use a systemd timer: "
        "bikecollect schedule install --systemd"
    )


def block(job: Job) -> str:
    """Return our block of a crontab, with its marks."""
    lines = [BEGIN, f"{expression(job.interval)} {job.line}", END]
    return "".join(f"{line}\n" for line in lines)


def found(crontab: str) -> str:
    """Return our block as it stands in *crontab*, empty where there is none."""
    begin, end = crontab.find(BEGIN), crontab.find(END)
    if begin < 0 or end < begin:
        return ""
    after = crontab.find("\n", end)
    return crontab[begin : len(crontab) if after < 0 else after + 1]


def installed(crontab: str, ours: str) -> str:
    """Return *crontab* with *ours* in place of our block, or at its end."""
    there = found(crontab)
    if there:
        return crontab.replace(there, ours, 1)
    apart = "" if not crontab or crontab.endswith("\n") else "\n"
    return f"{crontab}{apart}{ours}"


def removed(crontab: str) -> str:
    """Return *crontab* without our block; every other byte stays."""
    return crontab.replace(found(crontab), "", 1)


def next_fires(now: float, interval: int, count: int = 3) -> list[int]:
    """Return the next *count* moments at which a slot begins.

    >>> next_fires(301, 300, 2)
    [600, 900]
    """
    first = (int(now) // interval + 1) * interval
    return [first + number * interval for number in range(count)]


def service(job: Job, writable: Sequence[str], *, user_unit: bool) -> str:
    """Return the systemd service that runs *job* once, shut in.

    It may write only to the folders in *writable*. A unit of a user cannot have
    all of the walls that one of the system has: those are left out.
    """
    everywhere = (
        "NoNewPrivileges=yes",
        "LockPersonality=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "RestrictNamespaces=yes",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged @resources",
        "SystemCallErrorNumber=EPERM",
        "MemoryMax=512M",
        "UMask=0027",
    )
    walls = (
        "ProtectSystem=strict",
        "ProtectHome=read-only",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
        "ProtectProc=invisible",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        *(f"ReadWritePaths={_quoted(each)}" for each in writable),
    )
    lines = [
        "[Unit]",
        "Description=Collect one snapshot of bike-share systems",
        "Wants=network-online.target",
        "After=network-online.target time-sync.target",
        "",
        "[Service]",
        "Type=oneshot",
        f"ExecStart={' '.join(_quoted(each) for each in job.command)}",
        f"TimeoutStartSec={max(job.interval, 60)}",
        *everywhere,
        *(() if user_unit else walls),
    ]
    return "".join(f"{line}\n" for line in lines)


def timer(interval: int) -> str:
    """Return the systemd timer that keeps *interval*, some seconds into each slot.

    The moments follow UTC where an interval is longer than an hour, as slots do.
    """
    late = 7 if interval >= MINUTE else 0
    lines = [
        "[Unit]",
        "Description=Start bikecollect in every slot",
        "",
        "[Timer]",
        *(f"OnCalendar={each}" for each in _calendar(interval, late)),
        "AccuracySec=1s",
        "Persistent=true",
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return "".join(f"{line}\n" for line in lines)


def _calendar(interval: int, late: int) -> list[str]:
    if interval < MINUTE and MINUTE % interval == 0:
        return [f"*:*:0/{interval}"]
    if interval % MINUTE == 0 and interval < HOUR and HOUR % interval == 0:
        return [f"*:0/{interval // MINUTE}:{late}"]
    if interval % HOUR == 0:
        return [f"0/{interval // HOUR}:00:{late} UTC"]
    moments = (divmod(each, HOUR) for each in range(late, DAY, interval))
    return [f"{h:02}:{rest // MINUTE:02}:{rest % MINUTE:02} UTC" for h, rest in moments]


def _quoted(text: str) -> str:
    """Return *text* as one word of a unit file."""
    plain = text.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"' if any(c.isspace() or c in "'\"\\" for c in text) else plain
