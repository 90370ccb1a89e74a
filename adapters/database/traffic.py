"""Table of the analytics report, and the real data that shows it.

``traffic`` counts what happened per hour, place and source: page views, calls, departures. The demo
data are all 336,776 departures from New York City's airports in 2013 (the data set nycflights13,
CC0): the place is the airport, the source the airline, ``lost`` the cancelled ones and ``late``
those that left more than 15 minutes late.
"""

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from adapters.database.engine import Database
from adapters.database.metadata import metadata, to_micros

FLIGHTS: Final = Path(__file__).with_name("flights_2013.csv.gz")
FIRST_HOUR: Final = datetime(2013, 1, 1, tzinfo=UTC)
CHUNK: Final = 5_000

AIRPORTS: Final = {"EWR": "Newark", "JFK": "John F. Kennedy", "LGA": "LaGuardia"}
AIRLINES: Final = {
    "9E": "Endeavor Air",
    "AA": "American Airlines",
    "AS": "Alaska Airlines",
    "B6": "JetBlue Airways",
    "DL": "Delta Air Lines",
    "EV": "ExpressJet Airlines",
    "F9": "Frontier Airlines",
    "FL": "AirTran Airways",
    "HA": "Hawaiian Airlines",
    "MQ": "Envoy Air",
    "OO": "SkyWest Airlines",
    "UA": "United Air Lines",
    "US": "US Airways",
    "VX": "Virgin America",
    "WN": "Southwest Airlines",
    "YV": "Mesa Airlines",
}

traffic: Final = Table(
    "traffic",
    metadata,
    Column("hour_at", BigInteger, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("events", Integer, nullable=False),
    Column("lost", Integer, nullable=False),
    Column("late", Integer, nullable=False),
    Column("distance", BigInteger, nullable=False),
)


async def load_demo(database: Database) -> int:
    """Put the departures of 2013 into ``traffic`` and return their number; can be repeated."""
    statement = database.insert(traffic).on_conflict_do_nothing()
    rows = read_flights()
    events = 0
    while chunk := list(islice(rows, CHUNK)):
        async with database.begin() as connection:
            await connection.execute(statement, chunk)
        events += sum(row["events"] for row in chunk)
    return events


def read_flights() -> Iterator[dict[str, Any]]:
    """Read the shipped file: one line per hour since ``FIRST_HOUR``, airport and airline."""
    with gzip.open(FLIGHTS, "rt", encoding="ascii", newline="") as lines:
        for row in csv.DictReader(lines):
            yield {
                "hour_at": to_micros(FIRST_HOUR + timedelta(hours=int(row["hour"]))),
                "place": AIRPORTS[row["airport"]],
                "source": AIRLINES[row["airline"]],
                "events": int(row["departures"]),
                "lost": int(row["cancelled"]),
                "late": int(row["late"]),
                "distance": int(row["miles"]),
            }
