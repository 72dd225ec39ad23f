"""The built-in catalogue: systems whose feed address is known."""

from collections.abc import Sequence

from bikecollect.setup.catalogue.entry import CLIENT, Entry

TDX_KEYS = "https://tdx.transportdata.tw"
# Two lines per system: id, name, city, country, operator, time zone; dialect, address.
# The star in a shared address is replaced by the system's own part.
_SHARED = {
    "lyft": "https://gbfs.*.com/gbfs/2.3/gbfs.json",
    "pbsc": "https://*.publicbikesystem.net/customer/gbfs/v3.0/gbfs.json",
    "bcycle": "https://gbfs.bcycle.com/bcycle_*/gbfs.json",
    "nextbike": "https://gbfs.nextbike.net/maps/gbfs/v2/nextbike_*/gbfs.json",
    "cyclocity": "https://api.cyclocity.fr/contracts/*/gbfs/v3/gbfs.json",
    "entur": "https://api.entur.io/mobility/v2/gbfs/v3/*/gbfs",
    "urban": "https://gbfs.urbansharing.com/*/gbfs.json",
    "tdx": "https://tdx.transportdata.tw/api/basic/v2/Bike/Availability/City/*?$format=JSON",
    "odpt": "https://api-public.odpt.org/api/v4/gbfs/*/gbfs.json",
}
_SYSTEMS = """\
youbike-taipei|YouBike 2.0 Taipei|Taipei|TW|YouBike|Asia/Taipei
youbike https://tcgbusfs.blob.core.windows.net/dotapp/youbike/v2/youbike_immediate.json
youbike-newtaipei|YouBike 2.0 New Taipei|New Taipei|TW|YouBike|Asia/Taipei
youbike https://data.ntpc.gov.tw/api/datasets/010e5b15-3823-4b20-b401-b1cf000550c5/json?page=0&size=10000
youbike-taoyuan|YouBike 2.0 Taoyuan|Taoyuan|TW|YouBike|Asia/Taipei
youbike https://opendata.tycg.gov.tw/api/v1/dataset.api_access?rid=08274d61-edbe-419d-8fcc-7a643831283d&format=json&limit=2000
youbike-taiwan|YouBike 2.0, all of its cities|Taiwan|TW|YouBike|Asia/Taipei
youbike https://apis.youbike.com.tw/json/station-yb2.json
tdx-taipei|YouBike Taipei by TDX|Taipei|TW|YouBike|Asia/Taipei
tdx Taipei
tdx-newtaipei|YouBike New Taipei by TDX|New Taipei|TW|YouBike|Asia/Taipei
tdx NewTaipei
tdx-taoyuan|YouBike Taoyuan by TDX|Taoyuan|TW|YouBike|Asia/Taipei
tdx Taoyuan
tdx-hsinchu|YouBike Hsinchu by TDX|Hsinchu|TW|YouBike|Asia/Taipei
tdx Hsinchu
tdx-hsinchu-county|YouBike Hsinchu County by TDX|Hsinchu County|TW|YouBike|Asia/Taipei
tdx HsinchuCounty
tdx-miaoli|YouBike Miaoli by TDX|Miaoli|TW|YouBike|Asia/Taipei
tdx MiaoliCounty
tdx-taichung|YouBike Taichung by TDX|Taichung|TW|YouBike|Asia/Taipei
tdx Taichung
tdx-chiayi|YouBike Chiayi by TDX|Chiayi|TW|YouBike|Asia/Taipei
tdx Chiayi
tdx-chiayi-county|YouBike Chiayi County by TDX|Chiayi County|TW|YouBike|Asia/Taipei
tdx ChiayiCounty
tdx-tainan|YouBike Tainan by TDX|Tainan|TW|YouBike|Asia/Taipei
tdx Tainan
tdx-kaohsiung|YouBike Kaohsiung by TDX|Kaohsiung|TW|YouBike|Asia/Taipei
tdx Kaohsiung
tdx-pingtung|YouBike Pingtung by TDX|Pingtung|TW|YouBike|Asia/Taipei
tdx PingtungCounty
tdx-taitung|YouBike Taitung by TDX|Taitung|TW|YouBike|Asia/Taipei
tdx TaitungCounty
citibike-nyc|Citi Bike|New York|US|Lyft|America/New_York
lyft citibikenyc
divvy-chicago|Divvy|Chicago|US|Lyft|America/Chicago
lyft divvybikes
baywheels|Lyft Bike, formerly Bay Wheels|San Francisco|US|Lyft|America/Los_Angeles
lyft lyftbikes
bluebikes-boston|Bluebikes|Boston|US|Lyft|America/New_York
gbfs https://gbfs.bluebikes.com/gbfs/gbfs.json
capital-bikeshare|Capital Bikeshare|Washington|US|Lyft|America/New_York
lyft capitalbikeshare
biketown-portland|BIKETOWN|Portland|US|Lyft|America/Los_Angeles
lyft biketownpdx
indego-philadelphia|Indego|Philadelphia|US|BCycle|America/New_York
bcycle indego
metro-losangeles|Metro Bike Share|Los Angeles|US|BCycle|America/Los_Angeles
bcycle lametro
capmetro-austin|CapMetro Bikeshare|Austin|US|PBSC|America/Chicago
pbsc austin
bixi-montreal|BIXI|Montréal|CA|BIXI|America/Toronto
gbfs https://gbfs.velobixi.com/gbfs/2-2/gbfs.json
bikeshare-toronto|Bike Share Toronto|Toronto|CA|PBSC|America/Toronto
pbsc toronto
mobi-vancouver|Mobi|Vancouver|CA|Fifteen|America/Vancouver
gbfs https://gbfs.kappa.fifteen.eu/gbfs/2.2/mobi/en/gbfs.json
ecobici-mexico|ECOBICI|Mexico City|MX|Lyft|America/Mexico_City
gbfs https://gbfs.mex.lyftbikes.com/gbfs/gbfs.json
bikeitau-rio|Bike Itaú Rio|Rio de Janeiro|BR|Tembici|America/Sao_Paulo
pbsc riodejaneiro
bikeitau-saopaulo|Bike Itaú Sampa|São Paulo|BR|Tembici|America/Sao_Paulo
pbsc saopaulo
velib-paris|Vélib' Métropole|Paris|FR|Smovengo|Europe/Paris
gbfs https://velib-metropole-opendata.smovengo.cloud/opendata/Velib_Metropole/gbfs.json
velov-lyon|Vélo'v|Lyon|FR|JCDecaux|Europe/Paris
cyclocity lyon
velotoulouse|VélôToulouse|Toulouse|FR|JCDecaux|Europe/Paris
cyclocity toulouse
bicing-barcelona|Bicing|Barcelona|ES|PBSC|Europe/Madrid
pbsc barcelona
bicimad-madrid|BiciMAD|Madrid|ES|EMT|Europe/Madrid
pbsc madrid
bilbaobizi|Bilbaobizi|Bilbao|ES|PBSC|Europe/Madrid
pbsc bilbao
santander-london|Santander Cycles, through CityBikes|London|GB|TfL|Europe/London
citybikes https://api.citybik.es/v2/networks/santander-cycles
nextbike-berlin|nextbike|Berlin|DE|nextbike|Europe/Berlin
nextbike bn
kvbrad-cologne|KVB Rad|Cologne|DE|nextbike|Europe/Berlin
nextbike kg
nextbike-duesseldorf|nextbike|Düsseldorf|DE|nextbike|Europe/Berlin
nextbike dd
wienmobil-vienna|WienMobil Rad|Vienna|AT|nextbike|Europe/Vienna
nextbike wr
citybike-linz|city bike Linz|Linz|AT|nextbike|Europe/Vienna
nextbike al
nextbike-prague|nextbike|Prague|CZ|nextbike|Europe/Prague
nextbike tg
veturilo-warsaw|Veturilo|Warsaw|PL|nextbike|Europe/Warsaw
nextbike vw
wrm-wroclaw|Wrocławski Rower Miejski|Wrocław|PL|nextbike|Europe/Warsaw
nextbike pl
styrstall-goteborg|Styr & Ställ|Göteborg|SE|nextbike|Europe/Stockholm
nextbike zg
oslo-bysykkel|Oslo Bysykkel|Oslo|NO|Urban Sharing|Europe/Oslo
entur oslobysykkel
bergen-bysykkel|Bergen Bysykkel|Bergen|NO|Urban Sharing|Europe/Oslo
urban bergenbysykkel.no
trondheim-bysykkel|Trondheim Bysykkel|Trondheim|NO|Urban Sharing|Europe/Oslo
entur trondheimbysykkel
bikemi-milan|BikeMi|Milan|IT|Urban Sharing|Europe/Rome
urban bikemi.com
docomo-tokyo|docomo bike share|Tokyo|JP|docomo|Asia/Tokyo
odpt docomo-cycle-tokyo
hellocycling|HELLO CYCLING|Japan|JP|OpenStreet|Asia/Tokyo
odpt hellocycling
"""
# Systems whose feed has ended: not listed, but known to `find`.
_GONE = """\
nextbike-glasgow|OVO Bikes|Glasgow|GB|nextbike|Europe/London
nextbike gg
nextbike-frankfurt|nextbike|Frankfurt|DE|nextbike|Europe/Berlin
nextbike ff
"""


def _parse(lines: Sequence[str]) -> tuple[Entry, ...]:
    entries = []
    for description, feed in zip(lines[::2], lines[1::2], strict=True):
        word, _, rest = feed.partition(" ")
        shared = _SHARED.get(word)
        dialect, url = ("gbfs", shared.replace("*", rest)) if shared else (word, rest)
        dialect = "tdx" if word == "tdx" else dialect
        system_id, name, city, country, operator, zone = description.split("|")
        entry = Entry(system_id, name, city, country, operator, zone, dialect, url)
        if dialect == "tdx":
            entry = entry._replace(auth_type=CLIENT, auth_info=TDX_KEYS)
        entries.append(entry)
    return tuple(entries)


CATALOGUE = _parse(_SYSTEMS.splitlines())
GONE = _parse(_GONE.splitlines())


def find(system_id: str) -> Entry | None:
    """Return the built-in entry *system_id*, None if there is none.

    Systems whose feed has ended are included: settings that name them stay valid.
    """
    entries = (*CATALOGUE, *GONE)
    return next((entry for entry in entries if entry.system_id == system_id), None)
