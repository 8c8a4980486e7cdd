"""Reads what a client sent into a model; what does not fit is a problem with its field's name."""

import re
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, StringConstraints, ValidationError

from ruasr_tel_adapters.rest.operations import URLENCODED
from ruasr_tel_adapters.rest.problems import Problem, invalid, invalid_field

ModelT = TypeVar("ModelT", bound=BaseModel)

NO_NUL: Final = r"^[^\x00]*$"
"""PostgreSQL's text holds no U+0000 (PostgreSQL 8.3, character types)."""
NO_NUL_PATTERN: Final = re.compile(NO_NUL + r"\Z")

MAX_FIELDS: Final = 100
"""Fields of a form; a dialplan has a handful to say."""

Text = Annotated[str, StringConstraints(max_length=1000, pattern=NO_NUL)]
"""A line of text from outside."""


def read_query(request: web.Request, model: type[ModelT]) -> ModelT:
    """Return the query of a request.

    Raises:
        Problem: 422, it does not fit the model.
    """
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid(error) from error


async def read_json(request: web.Request, model: type[ModelT]) -> ModelT:
    """Return the JSON body of a request.

    Raises:
        Problem: 415, it is no JSON; 422, it does not fit the model.
        web.HTTPRequestEntityTooLarge: it is longer than `max_body_bytes`.
    """
    if request.content_type != "application/json":
        raise Problem(415, f"the body is {request.content_type}, expected application/json")
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        raise invalid(error) from error


async def read_urlencoded(request: web.Request, model: type[ModelT]) -> ModelT:
    """Return the fields of a form (WHATWG URL 5.1); those without a value are left out.

    Raises:
        Problem: 415, it is no such form; 422, it does not fit the model.
        web.HTTPRequestEntityTooLarge: it is longer than `max_body_bytes`.
    """
    if request.content_type != URLENCODED:
        raise Problem(415, f"the body is {request.content_type}, expected {URLENCODED}")
    try:
        text = (await request.read()).decode()
        fields = dict(parse_qsl(text, errors="strict", max_num_fields=MAX_FIELDS))
        return model.model_validate(fields)
    except ValidationError as error:
        raise invalid(error) from error
    except ValueError as error:
        raise Problem(422, f"no form of at most {MAX_FIELDS} fields in UTF-8") from error


def read_uuid(request: web.Request, name: str) -> str:
    """Return a UUID of the path, in its usual form.

    Raises:
        Problem: 422, it is none.
    """
    text = request.match_info[name]
    try:
        return str(UUID(text))
    except ValueError as error:
        raise invalid_field(name, "not a UUID") from error
