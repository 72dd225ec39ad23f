"""The commands that messages recommend, by the kind or the variant of an incident."""

from bikecollect.core.incidents import EARLIER

DOCTOR = "bikecollect doctor {system}"
TRY = "bikecollect feeds try {system}"
SHOW = "bikecollect runs show {system} {slot}"
REPAIRED = "none, it is repaired; to be sure: bikecollect verify {system}"
NEXT_STEPS = {
    "fetch": (DOCTOR, SHOW),
    "payload": (
        TRY,
        "bikecollect backfill {system}   # after an upgrade or new settings",
    ),
    "drift": (TRY, SHOW),
    "zone": (
        f"{TRY}   # names a time zone that fits",
        "then correct timezone in [systems.{system}] of the settings",
    ),
    "disk": ("df -h {data_dir}", DOCTOR),
    "folder": (
        "grep system: {folder}/.bikecollect   # whose data it has",
        "mv {folder} ELSEWHERE && mv ITS_OWN_FOLDER {folder}",
    ),
    "lost": (
        "df -h {folder}   # is a disk not mounted?",
        "mv {folder} {folder}.new && mv THE_EARLIER_ONE {folder}   # from a backup",
        "bikecollect backfill {system} --from {folder}.new",
        f"bikecollect forget {{system}} {EARLIER}   # or accept the loss",
    ),
    "space": ("df -h {folder}", "df -i {folder}", "du -sh {folder}/*"),
    "ledger": (DOCTOR, SHOW),
    "damage": (
        "bikecollect verify {system}   # what is damaged, and what to do",
        "bikecollect verify --repair {system}",
    ),
    "archive-lost": (
        "df -h {data_dir}/archive   # is a disk not mounted? if not:",
        "mkdir -p {data_dir}/archive && touch {data_dir}/archive/.bikecollect",
        "bikecollect backfill {system} --from MIRROR   # or copy them from a backup",
        "bikecollect verify {system}   # what is still lost, and what to do",
    ),
    "denied": (f"{DOCTOR}   # names it, and the command", "ls -la {folder}"),
    "file-missing": (
        "bikecollect backfill {system}   # fills what has kept payloads",
        "bikecollect verify {system}   # what is still missing, and what to do",
    ),
    "file-repaired": (REPAIRED,),
    "list-repaired": (REPAIRED,),
    "obstacle": (f"{DOCTOR}   # names it, and the command", "ls -la {folder}"),
    "older-copy": (
        "bikecollect backfill {system}   # fills the slots since the copy",
        "bikecollect verify {system}",
    ),
    "older-folder": (
        "bikecollect backfill {system} --from PATH   # of the newer folder, or MIRROR",
        "bikecollect verify {system}",
    ),
    "clock": ("timedatectl status", "bikecollect doctor"),
    "lock": ("fuser -v {folder}/lock", SHOW),
    "settings": ("bikecollect doctor",),
    "mail": ("bikecollect doctor --send",),
    "overload": ("bikecollect status", SHOW),
    "missed": ("bikecollect schedule show", "bikecollect runs {system} --since 24h"),
    "stale": (TRY,),
    "thin": (TRY, SHOW),
    "partial": (SHOW, TRY),
    "archive": ("bikecollect compact {system}", "bikecollect verify {system}"),
    "mirror": ("bikecollect push {system}", "bikecollect doctor"),
    "bug": (SHOW,),
}
REPORT = "bikecollect backfill-report {system} --since {day}"
AFTERWARDS = {
    "fetch": (REPORT, SHOW),
    "payload": (
        "bikecollect backfill {system}   # fills slots, if it understands them now",
        REPORT,
    ),
    "archive-lost": ("bikecollect verify {system}",),
    "disk": (REPORT,),
    "lost": ("bikecollect verify {system}", REPORT),
    "ledger": (REPORT, SHOW),
    "lock": (REPORT, SHOW),
    "settings": ("bikecollect backfill-report --since {day}",),
    "overload": (REPORT,),
    "bug": (REPORT, SHOW),
    "zone": (
        "# If you corrected timezone: rows until then have a wrong last_reported, and",
        "# days begin by the old zone until midnight. To read a day anew from its kept",
        "# payloads, if it is not archived (between two runs; so each day after it):",
        "mv {folder}/station_status/{day}*.csv /var/tmp/",
        "bikecollect backfill {system}",
        "bikecollect verify {system}",
    ),
}
"""What is left to do when an incident is over, where that differs."""
