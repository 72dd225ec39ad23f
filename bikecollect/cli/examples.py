"""Examples of each command, shown at the end of its help."""

EXAMPLES = {
    "init": (
        "bikecollect init",
        "bikecollect init --yes --system velib-paris --no-try",
    ),
    "config": ("bikecollect config show", "bikecollect config keys"),
    "fetch": ("bikecollect fetch", "bikecollect -v fetch youbike-taipei --dry-run"),
    "status": ("bikecollect status --watch=5", "bikecollect status --alert"),
    "runs": ("bikecollect runs --failed --since 7d", "bikecollect runs show 10:05"),
    "rename": (
        "bikecollect rename my-city nextbike-bonn",
        "bikecollect --config /etc/bikes.toml rename youbike-taipei taipei",
    ),
    "schedule": (
        "bikecollect schedule install",
        "bikecollect schedule show --systemd",
    ),
    "doctor": ("bikecollect doctor --send", "bikecollect doctor youbike-taipei"),
    "feeds": (
        "bikecollect feeds search amsterdam",
        "bikecollect feeds try https://gbfs.velobixi.com/gbfs/2-2/gbfs.json",
    ),
    "backfill-report": (
        "bikecollect backfill-report --since 7d",
        "bikecollect backfill-report -o gaps.html",
    ),
    "backfill": (
        "bikecollect backfill --dry-run",
        "bikecollect backfill youbike-taipei --from /mnt/other/bikes",
    ),
    "compact": ("bikecollect compact", "bikecollect compact --quiet --csv-days 30"),
    "push": (
        "bikecollect push",
        "bikecollect push --live --quiet",
    ),
    "verify": (
        "bikecollect verify",
        "bikecollect verify --deep --certificates certificates.jsonl",
    ),
    "forget": (
        "bikecollect forget youbike-taipei 2026-11-24",
        'bikecollect forget youbike-taipei 2026-11-24 --reason "disk full, no backup"',
    ),
    "rebuild": (
        "bikecollect rebuild stations",
        "bikecollect rebuild stations youbike-taipei",
    ),
    "export": (
        "bikecollect export --since 2026-11-01 --until 2026-11-30 -o november.csv",
        "bikecollect export --what gaps",
    ),
    "query": (
        'bikecollect query "SELECT date, count(*) AS n FROM slots GROUP BY date"',
        'bikecollect query "FROM stations" -o stations.csv',
    ),
    "report": (
        'bikecollect report chance --at "Mon 08:30" --station 500101001',
        "bikecollect report availability --by district --since 30d",
    ),
    "share": (
        "bikecollect share --week -o public",
        "bikecollect share youbike-taipei --live -o /var/www/bikes",
    ),
    "publish": (
        'bikecollect publish --since 2026-11-01 --author "Lovelace, Ada" -o november',
        "bikecollect publish youbike-taipei --format both -o taipei",
    ),
    "basemap": (
        'bikecollect basemap add youbike-taipei map.geojson --attribution "(c) OSM"',
        "bikecollect basemap list",
    ),
    "app": ("bikecollect app", "bikecollect app --port 8600 --system youbike-taipei"),
    "demo": ("bikecollect demo", "bikecollect demo --days 30 --folder a-month"),
    "simulate": (
        "bikecollect simulate",
        "bikecollect simulate --port 8080 --stations 50",
    ),
}
"""Two examples of each command, by its name."""


def epilog(name: str) -> str:
    """Return the examples of the command *name*, each on a separate line."""
    lines = (f"  {example}" for example in EXAMPLES.get(name, ()))
    return "\n".join(["\b", "Examples:", *lines])
