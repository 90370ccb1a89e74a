"""Files into tables, on both databases: what is written, what is rejected, and counted once."""

import csv
import io

import pytest

from adapters.database import Database
from jobs.imports import ImportRowRejected, ImportTooManyRejects
from tests.transfers import Importing

HEADER = "id,email,name,country,created_at\n"
ADA = "C-1,ada@example.com,Ada Lovelace,GB,2026-01-01T09:00:00Z\n"
GRACE = "C-2,grace@example.com,Grace Hopper,US,2026-01-02T09:00:00+02:00\n"
BAD = "C-3,nobody,Nobody,XX1,yesterday\n"


@pytest.fixture
def importing(database: Database) -> Importing:
    return Importing(database)


async def test_rows_are_inserted_with_instants_in_utc(importing: Importing) -> None:
    result = await importing.file("c.csv", HEADER + ADA + GRACE, target="customers")
    assert (result.read, result.inserted, result.rejected, result.rejects) == (2, 2, 0, None)
    assert await importing.rows("customers") == [
        {
            "id": "C-1",
            "email": "ada@example.com",
            "name": "Ada Lovelace",
            "country": "GB",
            "created_at": 1767258000000000,
        },
        {
            "id": "C-2",
            "email": "grace@example.com",
            "name": "Grace Hopper",
            "country": "US",
            "created_at": 1767337200000000,
        },
    ]


async def test_a_second_import_counts_what_is_new_changed_and_the_same(
    importing: Importing,
) -> None:
    await importing.file("a.csv", HEADER + ADA + GRACE, target="customers")
    changed = GRACE.replace("US", "CA")
    new = "C-9,alan@example.com,Alan Turing,GB,2026-01-03T09:00:00Z\n"
    result = await importing.file("b.csv", HEADER + ADA + changed + new, target="customers")
    assert (result.inserted, result.updated, result.unchanged) == (1, 1, 1)
    assert [row["country"] for row in await importing.rows("customers")] == ["GB", "CA", "GB"]


async def test_a_key_that_comes_twice_is_written_in_the_order_of_the_file(
    importing: Importing,
) -> None:
    twice = ADA + GRACE + ADA.replace("GB", "FR") + ADA.replace("GB", "FR")
    result = await importing.file("c.csv", HEADER + twice, target="customers")
    assert (result.inserted, result.updated, result.unchanged) == (2, 1, 1)
    assert [row["country"] for row in await importing.rows("customers")] == ["FR", "US"]


async def test_bad_rows_go_to_a_file_that_can_be_mended_and_imported(importing: Importing) -> None:
    result = await importing.file("c.csv", HEADER + ADA + BAD + GRACE, target="customers")
    assert (result.read, result.inserted, result.rejected) == (3, 2, 1)
    assert result.rejects is not None
    text = await importing.text(result.rejects.key)
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["reject_row"] == "2"
    assert row["reject_column"] == "email; country; created_at"
    assert row["name"] == "Nobody"

    mended = text.replace("nobody,", "nobody@example.com,").replace("XX1", "DE")
    mended = mended.replace("yesterday", "2026-05-05T00:00:00Z")
    again = await importing.file("mended.csv", mended, target="customers")
    assert (again.inserted, again.rejected) == (1, 0)
    assert (await importing.rows("customers"))[2]["name"] == "Nobody"


async def test_a_dry_run_counts_and_lists_but_writes_nothing(importing: Importing) -> None:
    await importing.file("a.csv", HEADER + ADA, target="customers")
    result = await importing.file(
        "b.csv", HEADER + ADA + GRACE + BAD, target="customers", dry_run=True
    )
    assert (result.inserted, result.unchanged, result.rejected) == (1, 1, 1)
    assert result.rejects is not None
    assert len(await importing.rows("customers")) == 1


async def test_stop_fails_at_the_first_bad_row_and_says_which(importing: Importing) -> None:
    with pytest.raises(ImportRowRejected, match=r"row 2 \(line 3\): email is no address"):
        await importing.file("c.csv", HEADER + ADA + BAD, target="customers", on_error="stop")
    assert await importing.rows("customers") == []


async def test_more_bad_rows_than_allowed_fail_the_job_and_are_listed(
    importing: Importing,
) -> None:
    with pytest.raises(ImportTooManyRejects, match="1 of the first 2 rows are bad") as raised:
        await importing.file("c.csv", HEADER + ADA + BAD, target="customers", max_errors=0)
    key = str(raised.value.message).rpartition(" ")[2]
    assert "Nobody" in await importing.text(key)


async def test_amounts_are_stored_in_minor_units_of_their_currency(importing: Importing) -> None:
    text = (
        "id,name,category,price,currency\n"
        "P-1,Tea,drinks,12.5,EUR\nP-2,Rice,food,1200,JPY\nP-3,Dates,food,1.234,KWD\n"
        "P-4,Ink,office,1.234,EUR\nP-5,Pen,office,-1,EUR\n"
    )
    result = await importing.file("p.csv", text, target="products")
    assert (result.inserted, result.rejected) == (3, 2)
    prices = [row["price_minor"] for row in await importing.rows("products")]
    assert prices == [1250, 1200, 1234]


async def test_text_that_a_database_might_misread_arrives_as_it_is(importing: Importing) -> None:
    name = 'tab\there, back\\slash, "quotes", \\N, \n two lines, é 漢 🙂'
    out = io.StringIO()
    csv.writer(out).writerow(["C-1", "a@example.com", name, "DE", "2026-01-01T00:00:00Z"])
    result = await importing.file("c.csv", HEADER + out.getvalue(), target="customers")
    assert result.inserted == 1
    assert [row["name"] for row in await importing.rows("customers")] == [name]
