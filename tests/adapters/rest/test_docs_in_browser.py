"""The documentation pages in a real browser: everything is shown, nothing is complained of."""

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import FilePayload, Page, async_playwright, expect

from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel_adapters.rest.asyncapi import document
from ruasr_tel_adapters.rest.routes import OPERATIONS
from tests.adapters.rest.fakes import Rest

CHROMIUM = shutil.which("chromium") or ""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed (apt: chromium)"),
]


@pytest_asyncio.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=3000 * TIMEOUT_S
        )
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        page.set_default_timeout(1000 * TIMEOUT_S)
        yield page
        await browser.close()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/docs", len(OPERATIONS)),
        ("/asyncapi", sum(len(each["messages"]) for each in document()["operations"].values())),
    ],
)
async def test_everything_documented_is_shown(
    rest: Rest, page: Page, path: str, shown: int
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(rest.door.url + path)
    await page.wait_for_selector("details.operation")
    operations = page.locator("details.operation")
    assert await operations.count() == shown
    await operations.first.locator("summary").first.click()
    assert await operations.first.locator(".inside").is_visible()
    assert complaints == []
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390  # a phone shows it without scrolling sideways


async def test_the_demo_shows_the_text_of_a_file(rest: Rest, page: Page) -> None:
    rest.recordings.at_once = "HTTP 404"
    await page.goto(rest.door.url + "/demo")
    file = FilePayload(name="a.wav", mimeType="audio/wav", buffer=b"RIFF")
    await page.set_input_files("input[type=file]", files=[file])
    await page.click("text=Распознать")
    await expect(page.locator("#log")).to_contain_text("HTTP 404")
