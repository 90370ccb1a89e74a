"""The five formats of a report: same bytes, real types, and no text that acts."""

import csv
import hashlib
import io
import json
import re
import zipfile
from datetime import date
from email import message_from_bytes, policy

import pytest
import typst
from python_calamine import CalamineWorkbook

from adapters.mail_rendering import MailComposer
from adapters.reports.charts import FONTS, day_labels, short
from adapters.reports.pdf import TEMPLATE
from adapters.reports.renderer import ReportRenderer
from adapters.reports.view import view
from adapters.reports.words import say, say_change
from jobs.emails import Attachment, Letter
from jobs.figures import Kind, Kpi
from jobs.periods import DAY, Period
from jobs.reports import DEFINITIONS, ReportFormat
from jobs.templates import ReportReady
from tests.reporting import march, sales

RENDERER = ReportRenderer("Test")


@pytest.mark.parametrize("form", list(ReportFormat))
async def test_the_same_figures_give_the_same_bytes(form: ReportFormat) -> None:
    first = await RENDERER.render(sales(march()), form)
    second = await RENDERER.render(sales(march()), form)
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()


async def test_the_pdf_is_tagged_a4_and_needs_no_font_of_the_machine() -> None:
    pdf = await RENDERER.render(sales(march()), ReportFormat.PDF)
    assert pdf.startswith(b"%PDF-1.")
    assert b"StructTreeRoot" in pdf
    _, warnings = typst.compile_with_warnings(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        font_paths=[str(FONTS)],
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(view(sales(march()), "Test"))},
    )
    assert warnings == []


async def test_texts_of_the_data_do_not_act_in_pdf_and_html() -> None:
    html = (await RENDERER.render(sales(march()), ReportFormat.HTML)).decode()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    pdf = await RENDERER.render(sales(march()), ReportFormat.PDF)
    assert pdf.startswith(b"%PDF")


async def test_the_html_loads_nothing() -> None:
    html = (await RENDERER.render(sales(march()), ReportFormat.HTML)).decode()
    links = set(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", html))
    assert {link for link in links if not link.startswith("#")} == set()
    assert "<svg" in html


async def test_the_workbook_has_real_types_and_equal_totals() -> None:
    data = await RENDERER.render(sales(march()), ReportFormat.XLSX)
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    assert book.sheet_names == ["Summary", "By day", "Best sellers"]
    days = book.get_sheet_by_name("By day").to_python()
    assert days[1] == [date(2027, 3, 1), 1234.5]
    total = sum(row[1] for row in days[1:-1] if isinstance(row[1], float))
    assert days[-1] == ["Total", total] == ["Total", 38_269.5]


async def test_the_workbook_freezes_headers_and_runs_no_formula() -> None:
    data = await RENDERER.render(sales(march()), ReportFormat.XLSX)
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        sheets = [book.read(name) for name in book.namelist() if "worksheets/sheet" in name]
    assert len(sheets) == 3
    assert not any(b"<f>" in sheet for sheet in sheets)
    assert all(b'state="frozen"' in sheet for sheet in sheets[1:])


async def test_the_csv_guards_formulas_and_keeps_exact_decimals() -> None:
    text = (await RENDERER.render(sales(march()), ReportFormat.CSV)).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[:2] == [["table", "label", "figure", "value"], ["kpis", "", "revenue", "38269.50"]]
    assert ["products", "'=HYPERLINK(A1)", "revenue", "1234.50"] in rows
    assert ["daily", "2027-03-28", "revenue", "1234.50"] in rows


async def test_an_empty_report_says_so_in_every_format_for_people() -> None:
    figures = sales(march(), empty=True)
    html = (await RENDERER.render(figures, ReportFormat.HTML)).decode()
    assert "No orders in this period." in html
    assert "<svg" not in html
    book = CalamineWorkbook.from_filelike(
        io.BytesIO(await RENDERER.render(figures, ReportFormat.XLSX))
    )
    assert ["No data", "No orders in this period.", "", ""] in book.get_sheet_by_name(
        "Summary"
    ).to_python()
    assert (await RENDERER.render(figures, ReportFormat.PDF)).startswith(b"%PDF")


@pytest.mark.parametrize(
    ("text", "kind", "currency", "said"),
    [
        ("1234567.5", Kind.MONEY, "EUR", "€1,234,567.50"),
        ("-3.00", Kind.MONEY, "USD", "−$3.00"),
        ("5000", Kind.MONEY, "JPY", "¥5,000"),
        ("1.250", Kind.MONEY, "KWD", "1.250 KWD"),
        ("0.12345", Kind.SHARE, None, "12.3%"),
        ("-12345", Kind.COUNT, None, "−12,345"),
        ("2027-03-28", Kind.DATE, None, "Sun 28 Mar 2027"),
        (None, Kind.MONEY, "EUR", "n/a"),
    ],
)
def test_figures_are_said_as_people_read_them(
    text: str | None, kind: Kind, currency: str | None, said: str
) -> None:
    assert say(text, kind, currency) == said


@pytest.mark.parametrize(
    ("change", "said"), [("0.125", "+12.5%"), ("-1.0000", "−100.0%"), (None, "n/a"), ("0", "±0.0%")]
)
def test_a_change_has_a_sign_and_one_from_zero_is_not_told(change: str | None, said: str) -> None:
    kpi = Kpi(key="k", label="K", kind=Kind.COUNT, value="1", change=change)
    assert say_change(kpi) == said


@pytest.mark.parametrize("days", [1, 14, 31, 92, 93, 366, 1096])
def test_the_day_axis_has_few_labels_however_long(days: int) -> None:
    start = date(2027, 1, 1)
    places, labels = day_labels([start + i * DAY for i in range(days)])
    assert 1 <= len(labels) == len(places) <= 14
    assert labels[0].startswith(("1 Jan", "Jan 2027"))


def test_axis_labels_are_short() -> None:
    assert short(12_500, Kind.MONEY, "EUR") == "€12.5k"
    assert short(-2_000_000, Kind.COUNT, None) == "−2m"
    assert short(0.25, Kind.SHARE, None) == "25%"


async def test_a_chart_of_three_years_and_one_of_a_day_are_pictures() -> None:
    for period in (
        Period(start=date(2024, 1, 1), end=date(2027, 1, 1), time_zone="UTC"),
        Period(start=date(2027, 1, 1), end=date(2027, 1, 2), time_zone="UTC"),
    ):
        assert (await RENDERER.chart(sales(period))).startswith(b"\x89PNG")


async def test_the_mail_shows_the_chart_as_a_related_picture_and_attaches_the_file() -> None:
    composer = MailComposer(
        DEFINITIONS.parent / "mail",
        sender="Reports <reports@example.com>",
        product="Test",
        public_url="https://example.com",
    )
    letter = Letter(
        to="ada@example.com",
        template="report-ready",
        locale="en",
        variables=ReportReady(
            title="Sales",
            period="March 2027 (Europe/Berlin)",
            figures=dict(RENDERER.summary(sales(march()))),
            chart="chart.png",
        ).model_dump(),
        message_id="<report.job@example.com>",
        timestamp=0,
        attachments=(
            Attachment(name="sales.pdf", content=b"%PDF"),
            Attachment(name="chart.png", content=await RENDERER.chart(sales(march()))),
        ),
    )
    message = message_from_bytes(await composer.compose(letter), policy=policy.default)
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    picture = next(part for part in message.walk() if part.get_content_type() == "image/png")
    assert picture["Content-ID"] == "<chart.png>"
    page = message.get_body(("html",))
    assert page is not None
    assert 'src="cid:chart.png"' in page.get_content()
    assert "€38,269.50 (−12.5%)" in page.get_content()
    plain = message.get_body(("plain",))
    assert plain is not None
    assert "Compared with: February 2027" in plain.get_content()
