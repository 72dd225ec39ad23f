"""The catalogue: systems whose feed's address is known.

The addresses are those that the publishers give, and for GBFS those of MobilityData's
list of systems (https://github.com/MobilityData/gbfs/blob/master/systems.csv). They
move: ``bikecollect feeds try ID`` says whether one still answers.
"""

from typing import NamedTuple


class Entry(NamedTuple):
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
YOUBIKE = "https://tcgbusfs.blob.core.windows.net/dotapp/youbike/v2"

TAIWAN = (
    ("youbike-taipei", "Taipei", f"{YOUBIKE}/youbike_immediate.json"),
    ("youbike-newtaipei", "New Taipei", f"{NTPC}?page=0&size=1000"),
    ("youbike-taoyuan", "Taoyuan", f"{TYCG}?rid={TYCG_RID}&format=json"),
    (
        "youbike-taiwan",
        "all of Taiwan, from its operator",
        "https://apis.youbike.com.tw/json/station-yb2.json",
    ),
)
WORLD = """
austin-bcycle | Austin B-cycle, Austin | https://gbfs.bcycle.com/bcycle_austin/gbfs.json | America/Chicago
baywheels | Bay Wheels, San Francisco | https://gbfs.lyft.com/gbfs/2.3/bay/gbfs.json | America/Los_Angeles
belfastbikes | BelfastBikes, Belfast | https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_bu/gbfs.json | Europe/London
bergenbysykkel | Bergen Bysykkel, Bergen | https://gbfs.urbansharing.com/bergenbysykkel.no/gbfs.json | Europe/Oslo
biki-honolulu | Biki, Honolulu | https://hon.publicbikesystem.net/ube/gbfs/v1/ | Pacific/Honolulu
bikemi-milan | BikeMi, Milan | https://gbfs.urbansharing.com/bikemi.com/gbfs.json | Europe/Rome
biketown-portland | BIKETOWN, Portland | https://gbfs.biketownpdx.com/gbfs/gbfs.json | America/Los_Angeles
bixi-montreal | BIXI, Montréal | https://gbfs.velobixi.com/gbfs/2-2/gbfs.json | America/Montreal
bluebikes-boston | Bluebikes, Boston | https://gbfs.bluebikes.com/gbfs/gbfs.json | America/New_York
bublr-milwaukee | Bublr Bikes, Milwaukee | https://gbfs.bcycle.com/bcycle_bublr/gbfs.json | America/Chicago
capitalbikeshare-washington | Capital Bikeshare, Washington | https://gbfs.capitalbikeshare.com/gbfs/gbfs.json | America/New_York
careem-dubai | Careem BIKE, Dubai | https://dubai.publicbikesystem.net/ube/gbfs/v1/ | Asia/Dubai
citibike-nyc | Citi Bike, New York | https://gbfs.citibikenyc.com/gbfs/2.3/gbfs.json | America/New_York
cogo-columbus | CoGo, Columbus | https://gbfs.cogobikeshare.com/gbfs/gbfs.json | America/New_York
divvy-chicago | Divvy, Chicago | https://gbfs.lyft.com/gbfs/2.3/chi/gbfs.json | America/Chicago
donkey-amsterdam | Donkey Republic, Amsterdam | https://stables.donkey.bike/api/public/gbfs/2/donkey_am/gbfs.json | Europe/Amsterdam
donkey-budapest | Donkey Republic, Budapest | https://stables.donkey.bike/api/public/gbfs/2/donkey_budapest/gbfs.json | Europe/Budapest
ecobici-buenosaires | Ecobici, Buenos Aires | https://buenosaires.publicbikesystem.net/ube/gbfs/v1/ | America/Argentina/Buenos_Aires
indego-philadelphia | Indego, Philadelphia | https://gbfs.bcycle.com/bcycle_indego/gbfs.json | America/New_York
itau-recife | Bike Itaú, Recife | https://rec.publicbikesystem.net/ube/gbfs/v1/ | America/Recife
itau-rio | Bike Itaú, Rio de Janeiro | https://riodejaneiro.publicbikesystem.net/ube/gbfs/v1/ | America/Sao_Paulo
itau-santiago | Bike Itaú, Santiago de Chile | https://santiago.publicbikesystem.net/ube/gbfs/v1/ | America/Santiago
itau-saopaulo | Bike Itaú, São Paulo | https://saopaulo.publicbikesystem.net/ube/gbfs/v1/ | America/Sao_Paulo
kvbrad-cologne | KVB Rad, Cologne | https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_kg/gbfs.json | Europe/Berlin
madison-bcycle | Madison B-cycle, Madison | https://gbfs.bcycle.com/bcycle_madison/gbfs.json | America/Chicago
metrobike-losangeles | Metro Bike Share, Los Angeles | https://gbfs.bcycle.com/bcycle_lametro/gbfs.json | America/Los_Angeles
mibici-guadalajara | MiBici, Guadalajara | https://guad.publicbikesystem.net/ube/gbfs/v1/ | America/Mexico_City
mobi-vancouver | Mobi, Vancouver | https://vancouver-gbfs.smoove.pro/gbfs/gbfs.json | America/Vancouver
mogo-detroit | MoGo, Detroit | https://det.publicbikesystem.net/ube/gbfs/v1/ | America/Detroit
monabike-monaco | MonaBike, Monaco | https://monaco.publicbikesystem.net/ube/gbfs/v1/ | Europe/Monaco
nextbike-berlin | nextbike, Berlin | https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_bn/gbfs.json | Europe/Berlin
nextbike-frankfurt | nextbike, Frankfurt | https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_ff/gbfs.json | Europe/Berlin
nextbike-prague | nextbike, Prague | https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_tg/gbfs.json | Europe/Prague
oslobysykkel | Oslo Bysykkel, Oslo | https://gbfs.urbansharing.com/oslobysykkel.no/gbfs.json | Europe/Oslo
ovobikes-glasgow | OVO Bikes, Glasgow | https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_gg/gbfs.json | Europe/London
star-rennes | LE vélo STAR, Rennes | https://eu.ftp.opendatasoft.com/star/gbfs/gbfs.json | Europe/Paris
styrochstall-gothenburg | Styr & Ställ, Gothenburg | https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_zg/gbfs.json | Europe/Stockholm
toronto | Bike Share Toronto, Toronto | https://tor.publicbikesystem.net/ube/gbfs/v1/ | America/Toronto
trondheimbysykkel | Trondheim Bysykkel, Trondheim | https://gbfs.urbansharing.com/trondheimbysykkel.no/gbfs.json | Europe/Oslo
vcub-bordeaux | VCub, Bordeaux | https://transport.data.gouv.fr/gbfs/vcub/gbfs.json | Europe/Paris
velhop-strasbourg | Vélhop, Strasbourg | https://transport.data.gouv.fr/gbfs/strasbourg/gbfs.json | Europe/Paris
velib-paris | Vélib' Métropole, Paris | https://velib-metropole-opendata.smovengo.cloud/opendata/Velib_Metropole/gbfs.json | Europe/Paris
velo-antwerp | Velo Antwerpen, Antwerp | https://gbfs.smartbike.com/antwerp/1.0/gbfs.json | Europe/Brussels
velomagg-montpellier | Vélomagg, Montpellier | https://transport.data.gouv.fr/gbfs/montpellier/gbfs.json | Europe/Paris
velotoulouse | VélÔToulouse, Toulouse | https://transport.data.gouv.fr/gbfs/toulouse/gbfs.json | Europe/Paris
velov-lyon | Vélo'v, Lyon | https://transport.data.gouv.fr/gbfs/lyon/gbfs.json | Europe/Paris
veturilo-warsaw | Veturilo, Warsaw | https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_vp/gbfs.json | Europe/Warsaw
vlille-lille | V'lille, Lille | https://transport.data.gouv.fr/gbfs/vlille/gbfs.json | Europe/Paris
wienmobil-vienna | WienMobil Rad, Vienna | https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_wr/gbfs.json | Europe/Vienna
wrm-wroclaw | WRM, Wrocław | https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_pl/gbfs.json | Europe/Warsaw
"""  # noqa: E501 - a table


def _world() -> tuple[Entry, ...]:
    lines = (line.split(" | ") for line in WORLD.strip().splitlines())
    return tuple(Entry(i, name, "gbfs", url, zone) for i, name, url, zone in lines)


CATALOGUE = (
    *(Entry(i, f"YouBike 2.0, {n}", "youbike", url, TAIPEI) for i, n, url in TAIWAN),
    *_world(),
)


def find(system_id: str) -> Entry | None:
    """Return the entry called *system_id*, None where there is none."""
    return next((each for each in CATALOGUE if each.system_id == system_id), None)


def search(words: str) -> list[Entry]:
    """Return the entries whose id or name holds all of *words*, whatever the case.

    >>> [each.system_id for each in search("velib")]
    ['velib-paris']
    """
    wanted = _plain(words).split()
    return [
        each
        for each in CATALOGUE
        if all(word in _plain(f"{each.system_id} {each.name}") for word in wanted)
    ]


def _plain(text: str) -> str:
    """Return *text* in small letters without accents."""
    import unicodedata  # noqa: PLC0415 - not on the way of a fetch

    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in apart if not unicodedata.combining(each))
