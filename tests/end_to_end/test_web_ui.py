"""The Temporal Web UI in a browser: encrypted jobs, with and without the codec of the API."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from adapters import devserver
from jobs.encryption import new_key
from tests.end_to_end.installation import Installation
from tests.end_to_end.test_pages import CHROMIUM, browser, patient, sign_in

__all__ = ["browser"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]

ADDRESS = "ada.secret@example.com"


@pytest.fixture
async def encrypted(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation whose jobs are encrypted, on a server with a Web UI."""
    async with await devserver.ensure(tmp_path / "server", port=0) as embedded:
        variables = {
            "TEMPORAL_ADDRESS": embedded.server.address,
            "CONVEYOR_TEMPORAL_UI_URL": embedded.server.ui,
            "CONVEYOR_ENCRYPTION_KEYS": new_key("2027"),
        }
        yield Installation(tmp_path, variables)


def use_codec(page: Page, address: str) -> None:
    """Set the Web UI of this browser up as someone does in its dialog."""
    page.get_by_test_id("data-encoder-status").click()
    page.get_by_text("Use my browser setting").click()
    page.get_by_placeholder("Paste your endpoint here").fill(f"{address}/codec")
    page.get_by_text("Include cross-origin credentials").first.click()
    page.get_by_role("button", name="Apply").first.click()


def test_only_a_browser_where_an_administrator_is_signed_in_shows_what_a_job_holds(
    encrypted: Installation, browser: Browser
) -> None:
    job_id = encrypted.submit("email", "template=welcome", f"to={ADDRESS}", "data.name=Ada")
    key = encrypted.run("keys", "create", "--owner", "root", "--scope", "jobs:admin").out.strip()
    ui = encrypted.variables["CONVEYOR_TEMPORAL_UI_URL"]
    job = f"{ui}/namespaces/default/workflows/{job_id}"
    page = patient(browser.new_page())
    with encrypted.api() as address:
        page.goto(job)
        use_codec(page, address)
        with page.expect_response("**/codec/decode*") as refused:
            page.goto(job)
        assert refused.value.status == 401
        assert ADDRESS not in page.content()
        page.goto(address)
        sign_in(page, key)
        page.goto(job)
        expect(page.get_by_text(ADDRESS).first).to_be_visible()
