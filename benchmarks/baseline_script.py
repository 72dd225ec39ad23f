"""What people write instead: get, parse, append; for measuring against."""

import csv
import sys
import time
from pathlib import Path

import requests

url, folder = sys.argv[1:3]
now = time.time()
slot = time.strftime("%Y-%m-%dT%H:%M:00+08:00", time.gmtime(now - now % 300 + 28800))
fetched = time.strftime("%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(now + 28800))
columns = ["slot", "fetched_at", "station_id", "bikes", "docks", "capacity"]
columns += ["is_renting", "last_reported", "occupancy"]
stations = requests.get(url, timeout=30).json()
path = Path(folder, slot[:10] + ".csv")
new = not path.exists()
with path.open("a", newline="", encoding="utf-8") as opened:
    rows = csv.DictWriter(opened, columns)
    if new:
        rows.writeheader()
    for s in stations:
        bikes, size = s["available_rent_bikes"], s["Quantity"]
        values = [slot, fetched, s["sno"], bikes, s["available_return_bikes"], size]
        values += [s["act"], s["infoTime"], round(bikes / size, 4) if size else None]
        rows.writerow(dict(zip(columns, values, strict=True)))
