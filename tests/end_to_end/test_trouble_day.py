"""A day of trouble sends exactly the expected mails."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import trouble_day
from mailserver import MailServer


@pytest.mark.slow
@pytest.mark.root
def test_a_day_of_trouble_sends_few_mails(tmp_path: Path) -> None:
    """Each trouble once, with its end (faults 94, 99, 104)."""
    mail = MailServer.new(tmp_path / "mail")
    data = tmp_path / "data"
    data.mkdir()
    script = (
        f"mount -t tmpfs -o size=12m tmpfs {data} && "
        f"exec {sys.executable} {trouble_day.__file__} {data} {mail.folder} {mail.port}"
    )
    process = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": ":".join(sys.path)},
    )
    if "unshare" in process.stderr:
        pytest.skip(f"no namespace of our own here: {process.stderr.strip()}")
    assert process.returncode == 0, process.stderr

    account = json.loads(process.stdout)
    ends = Counter(outcome for outcome, _ in account["ends"])
    assert ends == {"collected": 186, "unavailable": 36, "rejected": 6, "disk": 3}
    assert account["gaps"] == [
        [2, 36, "http-503"],
        [8, 6, "rejected: drift"],
        [11, 3, "disk"],
        [14, 1, "killed"],
        [17, 8, "not-started"],
    ]
    assert mail.subjects() == [
        "city: feed down since 02:00, for 1 h 0 min",
        "city: resolved: mails not sent 02:05 to 03:05",
        "city: resolved: feed down 02:00 to 05:00, 36 slots lost",
        "city: payload not understood since 08:00",
        "city: payload not understood since 08:00, for 15 min",
        "city: resolved: payload not understood 08:00 to 08:30, 6 slots lost",
        "city: disk unusable since 11:00",
        "city: resolved: disk unusable 11:00 to 11:15, 3 slots lost",
        "city: slots not collected 14:00 to 14:05, 1 slot lost",
        "city: slots not collected 17:00 to 17:40, 8 slots lost",
    ]
    lost = [_line(str(m.get_content()), "Slots lost") for m in mail.mails()]
    assert lost == [
        *("13 so far", "none", "36", "1 so far", "4 so far", "6"),
        *("1 so far", "3", "1", "8"),
    ]
    full = str(mail.mails()[6].get_content())
    assert _line(full, "Causes") == "disk (1 slot)"
    assert _line(full, "Last good").endswith("10:55 (+08:00), 50 rows")
    assert process.stderr == ""


def _line(text: str, word: str) -> str:
    return next(
        line.removeprefix(word).strip()
        for line in text.splitlines()
        if line.startswith(word)
    )
