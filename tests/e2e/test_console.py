"""The web console in a real browser before the real server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.e2e.console_browser import (
    CHROMIUM,
    CONSOLE,
    DESKTOP,
    LONG,
    NARROWEST,
    PHONE,
    TWO_PHRASES,
    Console,
    browser,
    conversation,
    dial,
    player_at,
    prompt,
    sent_to,
    silent_host,
)
from tests.e2e.console_server import ROOT, console_server

pytest.importorskip("playwright.async_api", reason="playwright is not installed")

from playwright.async_api import Route, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed (apt: chromium)"),
]


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with console_server(tmp_path_factory.mktemp("state")) as started:
        yield started


@pytest_asyncio.fixture
async def console(urls: dict[str, str]) -> AsyncIterator[Console]:
    async with browser(urls) as console:
        yield console
        assert console.complaints == []


async def test_a_recording_is_sent_read_and_heard_by_its_words(console: Console) -> None:
    page = console.page
    await console.upload(LONG)
    word = page.locator(".dialogue button", has_text="звездочку").first
    start_s = float(await word.get_attribute("data-start") or "nan")
    assert start_s > 10
    async with sent_to(page, word):
        await word.click()
    await expect(word).to_have_class("now")
    link = page.get_by_role("link", name="SRT")
    async with page.expect_download() as coming:
        await link.click()
    download = await coming.value
    assert download.suggested_filename == "vm-options.srt"
    assert "-->" in (await download.path()).read_text()


async def test_words_and_waveform_are_moved_through_by_keys(console: Console) -> None:
    page = console.page
    await console.upload(TWO_PHRASES)
    words = page.locator(".dialogue button")
    await expect(page.locator(".dialogue button[tabindex='0']")).to_have_count(1)
    await words.first.focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await expect(words.nth(2)).to_be_focused()
    async with sent_to(page, words.nth(2)):
        await page.keyboard.press("Enter")
    await page.keyboard.press("End")
    async with sent_to(page, words.last):
        await page.keyboard.press("Space")
    await page.get_by_role("slider").focus()
    await page.keyboard.press("Home")
    assert await player_at(page) == 0
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("slider")).to_have_attribute("aria-valuenow", "5")


async def test_a_recording_of_two_parties_is_a_dialogue_of_two_tracks(
    console: Console, tmp_path: Path
) -> None:
    page = console.page
    file = conversation(tmp_path / "звонок <Иванов и Ко>.wav")
    await console.open("recordings")
    data = await page.evaluate_handle(
        """([bytes, name]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name));
            return transfer;
        }""",
        [list(file.read_bytes()), file.name],
    )
    await page.dispatch_event(".drop", "drop", {"dataTransfer": data})
    await console.finished(file.name)
    await expect(page.get_by_role("heading", level=1)).to_have_text(file.name)  # text, not HTML
    await expect(page.locator(".turn.side0").first).to_contain_text("введите номер")
    await expect(page.locator(".turn.side1").nth(1)).to_contain_text("номер не существует")
    await expect(page.locator(".turn.overlaps.interrupts")).to_contain_text("перебивает")
    await expect(page.locator(".turn.crosstalk")).to_contain_text("эхо")
    canvas = page.locator("canvas")
    await expect(canvas).to_be_visible()
    assert await canvas.evaluate("canvas => canvas.clientHeight") == 144  # two tracks
    await canvas.click(position={"x": 600, "y": 100})
    assert await player_at(page) > 1
    assert not await console.is_too_wide()
    await page.locator("audio").evaluate("audio => { audio.currentTime = 7.7 }")
    await expect(page.locator(".now")).to_have_count(1)
    await page.locator("h1").click()
    await console.picture("desktop")
    await page.get_by_label("Без эха").check()
    await expect(page.locator(".turn.crosstalk")).to_be_hidden()
    link = page.get_by_role("link", name="Текст")
    async with page.expect_download() as coming:
        await link.click()
    assert "(crosstalk)" not in (await (await coming.value).path()).read_text()


async def test_a_call_appears_with_its_text_and_goes_into_history(console: Console) -> None:
    page = console.page
    await console.open("live")
    call_id = str(uuid4())
    details = {"caller": "+7 495 123-45-67", "note": "<img src=x>"}
    answer = await page.request.put(f"{console.urls['rest']}/v1/calls/{call_id}", data=details)
    assert answer.ok
    calling = asyncio.create_task(dial(console.urls, call_id, prompt(LONG)))
    card = page.locator(".card", has_text=details["caller"])
    await expect(card).to_be_visible()
    await expect(card.locator(".partial")).not_to_be_empty()
    await expect(card.locator("ol li").first).to_contain_text("один")
    await expect(card.locator("meter")).not_to_have_js_property("value", -60)  # no speech there
    await page.set_viewport_size({"width": DESKTOP[0], "height": 560})
    await console.picture("live")
    await page.set_viewport_size({"width": NARROWEST, "height": 740})
    assert not await console.is_too_wide()
    await card.get_by_role("link").click()
    await expect(page.locator(".said ol li").first).to_contain_text("один")
    await calling
    await console.open("live")
    await console.open("history")
    await page.get_by_role("searchbox").fill("Звёздочку")
    await page.keyboard.press("Enter")
    found = page.locator(f".rows li[data-id='{call_id}']")
    await found.get_by_role("link").click()
    await expect(page.locator(".said")).to_contain_text("звездочку")
    await expect(page.locator(".facts")).to_contain_text("<img src=x>")


async def test_a_phone_shows_everything_without_scrolling_sideways(
    urls: dict[str, str], tmp_path: Path
) -> None:
    async with browser(urls, PHONE, dark=True) as console:
        await console.upload(conversation(tmp_path / "ночной разговор.wav"))
        await expect(console.page.locator("canvas")).to_be_visible()
        await console.picture("phone")
        await console.page.set_viewport_size({"width": NARROWEST, "height": 740})
        assert not await console.is_too_wide()
        for view in ("live", "recordings", "microphone", "history"):
            await console.open(view)
            await expect(console.page.get_by_role("heading", level=1)).to_be_visible()
            assert not await console.is_too_wide(), view
        assert console.complaints == []


async def test_the_microphone_is_heard(console: Console) -> None:
    page = console.page
    await console.open("microphone")
    await expect(page.get_by_role("textbox")).to_have_value(console.urls["vosk_ws"])
    await page.get_by_role("button", name="Говорить").click()
    await expect(page.locator(".said ol")).to_contain_text("номер не существует")
    await page.get_by_role("button", name="Стоп").click()
    await expect(page.get_by_role("button", name="Говорить")).to_be_visible()
    await expect(page.locator(".complaint")).to_be_hidden()


async def test_a_socket_that_may_not_be_spoken_to_is_explained(urls: dict[str, str]) -> None:
    async with browser(urls) as console:
        await console.open("microphone")
        await console.page.get_by_role("textbox").fill("ws://192.0.2.1:2700")
        await console.page.get_by_role("button", name="Говорить").click()
        complaint = console.page.locator(".complaint")
        await expect(complaint).to_contain_text("doors.rest.vosk_url")
        assert "Content Security Policy" in "".join(console.complaints)


async def test_both_languages_say_everything(urls: dict[str, str]) -> None:
    async with browser(urls, locale="en-GB") as console:
        page = console.page
        await console.open("recordings")
        heading = page.get_by_role("heading", level=1)
        await expect(heading).to_have_text("Recordings")
        await page.get_by_role("button", name="Русский").click()
        await expect(heading).to_have_text("Записи")
        await page.reload()
        await expect(heading).to_have_text("Записи")
        assert await page.evaluate("document.documentElement.lang") == "ru"
        english, russian = [
            await page.evaluate(
                "of => import('/console/js/text.js').then(({ keys }) => keys(of))", language
            )
            for language in ("en", "ru")
        ]
        assert english == russian
        assert console.complaints == []


async def test_what_goes_wrong_is_said(console: Console) -> None:
    page = console.page
    await console.open("recordings")
    await page.set_input_files("input[type=file]", ROOT / "pyproject.toml")
    row = page.locator(".rows li", has_text="pyproject.toml").first
    await expect(row.locator(".badge")).to_have_attribute("data-state", "failed")
    await expect(row.locator(".bad")).not_to_be_empty()
    await page.get_by_label("по ссылке").fill("http://127.0.0.1:1/secret.wav")
    await page.get_by_role("button", name="Загрузить").click()
    row = page.locator(".rows li", has_text="secret.wav").first
    await expect(row.locator(".bad")).to_contain_text("127.0.0.1")
    await console.open("nothing")
    await expect(page.locator("main")).to_have_text("Такой страницы нет")


async def test_a_recording_that_hangs_is_cancelled(console: Console) -> None:
    page = console.page
    cancel = page.get_by_role("button", name="Отменить")
    async with silent_host() as url:
        await console.open("recordings")
        await page.get_by_label("по ссылке").fill(f"{url}/nobody.wav")
        await page.keyboard.press("Enter")
        row = page.locator(".rows li", has_text="nobody.wav")
        await expect(row.locator("progress")).to_be_visible()
        await row.get_by_role("link").click()
        await expect(page.locator(".state .badge")).to_have_text("загружается")
        await cancel.click()
        await expect(page.locator(".state .badge")).to_have_text("отменено")
        await expect(cancel).to_be_hidden()


async def test_a_server_that_is_away_is_said(urls: dict[str, str]) -> None:
    async def away(route: Route) -> None:
        await route.abort()

    async with browser(urls) as console:
        await console.open("live")
        await expect(console.page.locator("#status .good")).to_be_visible()
        await console.page.route("**/v1/**", away)
        await expect(console.page.locator("#status .bad")).to_contain_text("не отвечает")
        await console.page.unroute("**/v1/**")
        await expect(console.page.locator("#status .good")).to_be_visible()


def test_nothing_is_read_as_html_and_nobody_else_is_asked() -> None:
    code = [path for path in CONSOLE.rglob("*") if path.suffix in (".js", ".html", ".css")]
    assert code
    for path in code:
        text = path.read_text()
        for forbidden in ("innerHTML", "insertAdjacentHTML", "eval(", "http://", "//cdn"):
            assert forbidden not in text, path
