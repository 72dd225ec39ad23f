"""The catalogue: systems whose feed's address is known."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A system: its id, name, dialect, address and time zone."""

    system_id: str
    name: str
    feed: str
    url: str
    timezone: str


TAIPEI = "Asia/Taipei"
NTPC = "https://data.ntpc.gov.tw/api/datasets/010e5b15-3823-4b20-b401-b1cf000550c5/json"
TYCG = "https://opendata.tycg.gov.tw/api/v1/dataset.api_access"
TYCG_RID = "08274d61-edbe-419d-8fcc-7a643831283d"

CATALOGUE = (
    Entry(
        "youbike-taipei",
        "YouBike 2.0 Taipei",
        "youbike",
        "https://tcgbusfs.blob.core.windows.net/dotapp/youbike/v2/youbike_immediate.json",
        TAIPEI,
    ),
    Entry(
        "youbike-newtaipei",
        "YouBike 2.0 New Taipei",
        "youbike",
        f"{NTPC}?page=0&size=1000",
        TAIPEI,
    ),
    Entry(
        "youbike-taoyuan",
        "YouBike 2.0 Taoyuan",
        "youbike",
        f"{TYCG}?rid={TYCG_RID}&format=json",
        TAIPEI,
    ),
    Entry(
        "youbike-taiwan",
        "YouBike 2.0, all of Taiwan, from its operator",
        "youbike",
        "https://apis.youbike.com.tw/json/station-yb2.json",
        TAIPEI,
    ),
    Entry(
        "citibike-nyc",
        "Citi Bike, New York",
        "gbfs",
        "https://gbfs.citibikenyc.com/gbfs/2.3/gbfs.json",
        "America/New_York",
    ),
    Entry(
        "divvy-chicago",
        "Divvy, Chicago",
        "gbfs",
        "https://gbfs.lyft.com/gbfs/2.3/chi/gbfs.json",
        "America/Chicago",
    ),
    Entry(
        "baywheels",
        "Bay Wheels, San Francisco",
        "gbfs",
        "https://gbfs.lyft.com/gbfs/2.3/bay/gbfs.json",
        "America/Los_Angeles",
    ),
    Entry(
        "bixi-montreal",
        "BIXI, Montréal",
        "gbfs",
        "https://gbfs.velobixi.com/gbfs/2-2/gbfs.json",
        "America/Montreal",
    ),
    Entry(
        "velib-paris",
        "Vélib' Métropole, Paris",
        "gbfs",
        "https://velib-metropole-opendata.smovengo.cloud/opendata/Velib_Metropole/gbfs.json",
        "Europe/Paris",
    ),
    Entry(
        "wienmobil-vienna",
        "WienMobil Rad, Vienna",
        "gbfs",
        "https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_wr/gbfs.json",
        "Europe/Vienna",
    ),
)


def find(system_id: str) -> Entry | None:
    """Return the entry called *system_id*, None where there is none."""
    return next((each for each in CATALOGUE if each.system_id == system_id), None)
