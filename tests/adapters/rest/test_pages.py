import re
from pathlib import Path

import pytest

from ruasr_tel_adapters.rest import RestConfig, pages
from ruasr_tel_adapters.rest.pages import Page, read_pages
from tests.adapters.rest.fakes import Rest, listening


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/docs", "text/html"),
        ("/asyncapi", "text/html"),
        ("/demo", "text/html"),
        ("/pages/docs.js", "text/javascript"),
        ("/pages/docs.css", "text/css"),
        ("/pages/pcm.js", "text/javascript"),
    ],
)
async def test_a_page_comes_from_the_package_and_speaks_to_nobody_else(
    rest: Rest, path: str, kind: str
) -> None:
    async with rest.client.get(path) as response:
        text = await response.text()
        assert response.content_type == kind
        assert not re.search(r"https?://(?!www\.w3\.org)", text)
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
        own = rest.door.url.removeprefix("http://")
        assert f"connect-src 'self' ws://{own} wss://{own} ws://127.0.0.1:2700;" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        etag = response.headers["ETag"]
    async with rest.client.get(path, headers={"If-None-Match": etag}) as response:
        assert response.status == 304


@pytest.mark.parametrize("page", ["docs", "asyncapi", "demo"])
async def test_everything_that_a_page_names_is_there(rest: Rest, page: str) -> None:
    async with rest.client.get(f"/{page}") as response:
        named = re.findall(r'(?:src|href|data-document)="([^"]+)"', await response.text())
    assert len(named) >= 4
    for path in named:
        async with rest.client.get(path) as response:
            assert response.status == 200


@pytest.mark.parametrize("host", ["evil.example;script-src *", "a b", "[::1", ""])
async def test_a_strange_host_does_not_get_into_the_policy(tmp_path: Path, host: str) -> None:
    async with (
        listening(tmp_path, RestConfig(allowed_hosts=("*",))) as rest,
        rest.client.get("/docs", headers={"Host": host}) as response,
    ):
        policy = response.headers["Content-Security-Policy"]
    assert "script-src *" not in policy


@pytest.mark.parametrize(
    "path", ["/pages/../server.py", "/pages/%2e%2e/server.py", "/console/../config.py", "/pages/"]
)
async def test_nothing_else_of_the_package_is_served(rest: Rest, path: str) -> None:
    problem = await rest.json("GET", path, 404)
    assert problem["detail"] == "there is no such address; /docs lists all"


async def test_the_console_is_at_the_root_or_the_documentation_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read_pages("pages", "/pages/")

    def pretended(folder: str, base: str) -> dict[str, Page]:
        return found if folder == "pages" else {}

    monkeypatch.setattr(pages, "read_pages", pretended)
    (tmp_path / "a").mkdir()
    async with (
        listening(tmp_path / "a") as rest,
        rest.client.get("/", allow_redirects=False) as response,
    ):
        assert (response.status, response.headers["Location"]) == (302, "/docs")
    found["/console/index.html"] = Page(b"console", "text/html; charset=utf-8", "e")

    def with_console(folder: str, base: str) -> dict[str, Page]:
        return {path: page for path, page in found.items() if path.startswith(base)}

    monkeypatch.setattr(pages, "read_pages", with_console)
    async with listening(tmp_path) as rest:
        for path in ("/", "/console", "/console/", "/console/index.html"):
            async with rest.client.get(path) as response:
                assert await response.text() == "console"
