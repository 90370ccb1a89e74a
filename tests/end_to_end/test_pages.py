"""The page for people, in a browser, against the running system."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.end_to_end.installation import ROOT, Installation

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 120_000
PHOTO = ROOT / "examples" / "photo.jpg"
TOO_WIDE = """[...document.querySelectorAll("main *")]
    .filter(element => element.getBoundingClientRect().right > 360)
    .map(element => element.outerHTML.slice(0, 200))"""
OPEN = "document.querySelectorAll('details').forEach(part => { part.open = true })"
BROKEN = """[...document.querySelectorAll("td:first-child code, .state")]
    .filter(element => element.getClientRects().length > 1)
    .map(element => element.outerHTML.slice(0, 200))"""
"""Words that are broken over lines although they are short."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=root, timeout=PATIENCE_MS
        )
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


def patient(page: Page) -> Page:
    """Let a page wait as long as its test does."""
    page.set_default_timeout(PATIENCE_MS)
    return page


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


def test_a_person_resizes_a_picture_and_cancels_another_job(
    installation: Installation, browser: Browser, unique: str
) -> None:
    key = installation.run("keys", "create", "--owner", unique).out.strip()
    with installation.api() as url:
        page = patient(browser.new_page())
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text))
        page.goto(url)
        sign_in(page, key)

        page.get_by_label("Picture").set_input_files(PHOTO)
        page.get_by_label("Width in pixels").fill("320")
        page.get_by_role("button", name="Upload and resize").click()
        expect(page.locator("#state")).to_have_text("waiting")
        bar = page.get_by_role("progressbar")
        assert bar.get_attribute("value") == "0.0"
        with installation.worker():
            expect(page.locator("#state")).to_have_text("completed")
            expect(bar).to_have_attribute("value", "100.0")
            picture = page.get_by_role("img", name="main")
            expect(picture).to_be_visible()
            assert picture.evaluate("image => image.naturalWidth") == 320
            expect(page.get_by_role("cell", name="images.apply").first).to_be_visible()

        page.get_by_role("link", name="Jobs").click()
        page.get_by_label("Picture").set_input_files(PHOTO)
        page.get_by_role("button", name="Upload and resize").click()
        with page.expect_response("**/cancel"):
            page.get_by_role("button", name="Cancel").click()
        with installation.worker():
            expect(page.locator("#state")).to_have_text("cancelled")
            expect(page.locator("[data-events]")).to_have_count(0)  # made anew by the server

        page.goto(f"{url}/?state=completed")
        expect(page.locator("tbody tr")).to_have_count(1)
        assert complaints == []


def test_the_page_works_without_javascript_on_a_narrow_screen(
    installation: Installation, browser: Browser
) -> None:
    key = installation.run("keys", "create", "--owner", "ada").out.strip()
    with installation.api() as url:
        context = browser.new_context(
            java_script_enabled=False, viewport={"width": 360, "height": 720}
        )
        page = patient(context.new_page())
        page.goto(url)
        page.get_by_label("Key").fill("sk_wrong")
        page.get_by_label("Key").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not valid")
        sign_in(page, key)
        page.get_by_label("Picture").set_input_files(PHOTO)
        page.get_by_role("button", name="Upload and resize").click()
        expect(page.locator("#state")).to_have_text("waiting")
        job = page.url
        with installation.worker():
            expect(page.locator("#state")).to_have_text("completed")
        page.get_by_role("button", name="Sign out").click()
        page.goto(job)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_files_that_are_no_pictures_can_be_fetched_from_the_page_of_their_job(
    installation: Installation, browser: Browser
) -> None:
    customers = f"source=@{ROOT / 'examples' / 'customers.csv'}"
    jobs = {
        "rejects.csv": ("import", customers, "target=customers"),
        ".html": ("report", "type=users", "period=yesterday", 'formats:=["html"]'),
    }
    key = installation.run("keys", "create", "--owner", "ada").out.strip()
    with installation.worker(), installation.api() as url:
        page = patient(browser.new_page())
        page.goto(url)
        sign_in(page, key)
        for ending, words in jobs.items():
            done = installation.run("submit", *words, "--owner", "ada", "--wait", "--json")
            page.goto(f"{url}/jobs/{done.json()['id']}")
            link = page.locator("figure a").first
            expect(link).to_contain_text(ending)
            assert page.request.get(f"{url}{link.get_attribute('href')}").ok


def test_pages_are_no_wider_than_a_narrow_screen(
    installation: Installation, browser: Browser
) -> None:
    key = installation.run("keys", "create", "--owner", "ada").out.strip()
    with installation.api() as url:
        page = patient(browser.new_page(viewport={"width": 360, "height": 720}))
        page.goto(url)
        sign_in(page, key)
        for path in ("/", "/docs"):
            page.goto(f"{url}{path}")
            page.evaluate(OPEN)
            assert page.evaluate("document.documentElement.scrollWidth") == 360
            assert page.evaluate(TOO_WIDE) == []
            assert page.evaluate(BROKEN) == []


def test_another_person_does_not_see_the_job(installation: Installation, browser: Browser) -> None:
    ada, bob = (
        installation.run("keys", "create", "--owner", name).out.strip() for name in ("ada", "bob")
    )
    with installation.api() as url:
        page, other = (patient(browser.new_context().new_page()) for _ in range(2))
        page.goto(url)
        sign_in(page, ada)
        page.get_by_label("Picture").set_input_files(PHOTO)
        page.get_by_role("button", name="Upload and resize").click()
        expect(page.locator("#state")).to_have_text("waiting")
        other.goto(url)
        sign_in(other, bob)
        answer = other.goto(page.url)
        assert answer is not None
        assert answer.status == 404
        expect(other.get_by_role("alert")).to_have_text("there is no such thing here")
        forged = other.request.post(f"{page.url}/cancel", form={"csrf": "x"})
        assert forged.status == 403
