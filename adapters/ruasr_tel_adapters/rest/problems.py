"""Every error as a problem document (RFC 9457), for people and for programs."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from pydantic import BaseModel, Field, ValidationError

from ruasr_tel.errors import ConfigError, Overloaded, StoreError

PROBLEM_JSON: Final = "application/problem+json"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger(__name__)


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(description="Name of the field, dotted where it lies in another.")
    message: str = Field(description="What is wrong with it.")


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field("about:blank", description="about:blank: the status says what kind it is.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong and what to do, for people.")
    errors: list[FieldError] = Field([], description="The fields at fault, if fields are.")


class Problem(Exception):
    """A request that is answered with a problem document.

    Args:
        status: of the answer.
        detail: what is wrong and what to do.
        errors: the fields at fault.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def document(self) -> ProblemDocument:
        """Return what the client gets to read."""
        title = HTTPStatus(self.status).phrase
        return ProblemDocument(
            title=title, status=self.status, detail=self.detail, errors=self.errors
        )

    def response(self) -> web.Response:
        """Return the answer."""
        return web.Response(
            status=self.status,
            text=self.document().model_dump_json(),
            content_type=PROBLEM_JSON,
            headers=self.headers,
        )


def invalid(error: ValidationError) -> Problem:
    """Return the problem of a request that does not fit its model."""
    errors = [
        FieldError(field=".".join(map(str, each["loc"])), message=each["msg"])
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    said = "; ".join(
        f"{each.field}: {each.message}" if each.field else each.message for each in errors
    )
    return Problem(422, said, errors)


def invalid_field(field: str, message: str) -> Problem:
    """Return the problem of one field."""
    return Problem(422, f"{field}: {message}", [FieldError(field=field, message=message)])


def as_problem(error: Exception) -> Problem:
    """Return an exception as a problem; one of ours that nobody expected is logged and is a 500."""
    match error:
        case Problem():
            return error
        case ValidationError():
            return invalid(error)
        case Overloaded():
            return Problem(503, str(error), headers={"Retry-After": "5"})
        case StoreError():
            _log.error("the database failed a request", exc_info=error)
            return Problem(503, "the database does not work now; try again later")
        case ConfigError():
            return Problem(422, str(error))
        case web.HTTPException():
            return _of_aiohttp(error)
        case web.RequestPayloadError() | BadHttpMessage():
            why = getattr(error.__cause__ or error, "message", str(error))
            return Problem(400, f"the body cannot be read: {' '.join(why.split())}")
    _log.error("request failed", exc_info=error)
    return Problem(500, "a fault of the server, not of the request; its log says more")


def _of_aiohttp(error: web.HTTPException) -> Problem:
    kept = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    detail = {
        404: "there is no such address; /docs lists all",
        405: f"not with this method, but with {kept.get('Allow', 'another')}",
    }.get(error.status, error.text or error.reason)
    return Problem(error.status, re.sub(r"^\d+: ", "", detail), headers=kept)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure with a problem document."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return as_problem(error).response()
    except Exception as error:  # noqa: BLE001 - each is answered, the unexpected is logged
        return as_problem(error).response()
