"""How a route is declared: its handler with the models that the OpenAPI document is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from ruasr_tel_adapters.rest.problems import Handler

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"
URLENCODED: Final = "application/x-www-form-urlencoded"
TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which a request is answered.

    Attributes:
        description: when.
        content: its type -> model of it, or None where it is not JSON.
    """

    description: str
    content: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """A route.

    Attributes:
        method: of HTTP, in capitals.
        path: as aiohttp and OpenAPI both write it.
        handler: answers it.
        tag: the chapter in which it is shown.
        summary: what it does, in a line.
        answers: by status.
        problems: statuses that come with a problem document, besides 500.
        description: more about it, in CommonMark.
        query: model of the query.
        body: content type -> model of the body.
        path_fields: name in the path -> what it is; one called `uuid` or `id` is a UUID.
        deprecated: whether new clients should take something else.
        endless: whether it is a stream.
    """

    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    problems: tuple[int, ...] = ()
    description: str = ""
    query: type[BaseModel] | None = None
    body: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    path_fields: Mapping[str, str] = field(default_factory=dict)
    deprecated: bool = False
    endless: bool = False


def add(app: web.Application, operations: tuple[Operation, ...]) -> None:
    """Route the operations; what can be got and ends can be asked for by HEAD, too."""
    for operation in operations:
        app.router.add_route(operation.method, operation.path, operation.handler)
        if operation.method == "GET" and not operation.endless:
            app.router.add_route("HEAD", operation.path, operation.handler)
