"""A day of trouble ends in exactly the mails that a person would want."""

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
def test_a_day_of_trouble_is_told_in_few_mails(tmp_path: Path) -> None:
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

    told = json.loads(process.stdout)
    ends = Counter(outcome for outcome, _ in told["ends"])
    assert ends == {"collected": 186, "unavailable": 36, "rejected": 6, "disk": 3}
    assert told["gaps"] == [
        [2, 36, "http-503"],
        [8, 6, "rejected: drift"],
        [11, 3, "disk"],
        [14, 1, "killed"],
        [17, 8, "not-started"],
    ]
    assert mail.subjects() == [
        "city: in trouble for long: the feed cannot be fetched",
        "city: recovered: mails cannot be sent",
        "city: recovered: the feed cannot be fetched",
        "city: trouble: the feed's payload is not understood",
        "city: still in trouble: the feed's payload is not understood",
        "city: recovered: the feed's payload is not understood",
        "city: trouble: the disk cannot be used",
        "city: recovered: the disk cannot be used",
        "city: noted: slots were not collected",
        "city: noted: slots were not collected",
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
