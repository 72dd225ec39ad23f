"""Names of places in their own language, where the catalogue has others."""

from bikecollect.setup.catalogue.text import fold

_NAMES = """\
Taipei|台北市
New Taipei|新北市
Taoyuan|桃園市
Taiwan|台灣
Hsinchu|新竹市
Hsinchu County|新竹縣
Miaoli|苗栗縣
Taichung|台中市
Chiayi|嘉義市
Chiayi County|嘉義縣
Tainan|台南市
Kaohsiung|高雄市
Pingtung|屏東縣
Taitung|台東縣
Mexico City|Ciudad de México CDMX
Cologne|Köln
Brussels|Bruxelles Brussel
Vienna|Wien
Prague|Praha
Warsaw|Warszawa
Göteborg|Gothenburg
Milan|Milano
Tokyo|東京都
Japan|日本
"""
_BY_PLACE = {
    fold(place): fold(names)
    for place, _, names in (line.partition("|") for line in _NAMES.splitlines())
}


def other_names(place: str) -> str:
    """Return the names that *place* has, too, as `fold` has them; empty for none.

    >>> other_names("Taipei"), other_names("Cologne"), other_names("Oslo")
    ('台北市', 'koln', '')
    """
    return _BY_PLACE.get(fold(place), "")
