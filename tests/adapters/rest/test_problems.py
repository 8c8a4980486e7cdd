import pytest
from aiohttp import web

from ruasr_tel.errors import ConfigError, Overloaded
from ruasr_tel_adapters.rest.problems import Problem, as_problem
from tests.adapters.rest.fakes import Rest


async def test_an_address_and_a_method_that_are_not_there_are_problems(rest: Rest) -> None:
    problem = await rest.json("GET", "/nothing", 404)
    assert problem == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "there is no such address; /docs lists all",
        "errors": [],
    }
    async with rest.client.delete("/v1/recordings") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET,HEAD,POST"
        assert (await response.json())["detail"] == "not with this method, but with GET,HEAD,POST"


async def test_a_body_that_is_not_packed_as_it_says_is_the_client_s_fault(rest: Rest) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    for method, path in (
        ("POST", "/v1/recordings"),
        ("PUT", "/v1/calls/0b2c6e5a-8f0d-4c1e-9b1a-1f2e3d4c5b6a"),
    ):
        problem = await rest.json(method, path, 400, data=b"no gzip", headers=headers)
        assert problem["detail"] == (
            "the body cannot be read: Can not decode content-encoding: gzip"
        )


async def test_a_fault_of_ours_says_nothing_of_itself(rest: Rest) -> None:
    rest.recordings.refusal = RuntimeError("secret")
    problem = await rest.json("POST", "/v1/recordings", 500, json={"url": "http://a/b"})
    assert problem["detail"] == "a fault of the server, not of the request; its log says more"


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (Problem(418, "a teapot"), 418, "a teapot"),
        (Overloaded("full"), 503, "full"),
        (ConfigError("no such key"), 422, "no such key"),
        (web.HTTPBadRequest(text="400: what?"), 400, "what?"),
        (web.HTTPRequestHeaderFieldsTooLarge(), 431, "Request Header Fields Too Large"),
    ],
)
def test_every_error_has_its_problem(error: Exception, status: int, detail: str) -> None:
    problem = as_problem(error)
    assert (problem.status, problem.detail) == (status, detail)
    assert problem.response().content_type == "application/problem+json"
