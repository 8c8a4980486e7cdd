"""The OpenAPI 3.1 document, made from the declared routes and their pydantic models."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, Literal

from pydantic import BaseModel, TypeAdapter

from ruasr_tel_adapters.rest.operations import Operation
from ruasr_tel_adapters.rest.problems import PROBLEM_JSON, ProblemDocument

REFERENCE: Final = "#/components/schemas/{model}"

Key = tuple[int, str]
"""A use of a model: its number and direction (`validation` in, `serialization` out)."""

DESCRIPTIONS: Final = {
    400: "The body cannot be read.",
    404: "There is nothing of that name.",
    406: "None of the accepted types can be given.",
    409: "It is not in a state in which this can be done.",
    410: "It is not kept any more.",
    413: "More than the server takes.",
    415: "The body is of another type than expected.",
    422: "The request does not fit; `errors` names the fields.",
    429: "Too many orders; try again after `Retry-After` seconds.",
    503: "Switched off, overloaded or stopping.",
    507: "The disk is full.",
}


class _Schemas:
    """Collects the models of a document, each once."""

    def __init__(self) -> None:
        self._uses: list[tuple[Any, Literal["validation", "serialization"]]] = []
        self._schemas: dict[Any, Any] = {}
        self.components: dict[str, Any] = {}

    def use(self, model: object, mode: Literal["validation", "serialization"]) -> None:
        if (model, mode) not in self._uses:
            self._uses.append((model, mode))

    def generate(self) -> None:
        """Make every schema at once, so that models of one name are told apart."""
        inputs = [(use, use[1], TypeAdapter(use[0])) for use in self._uses]
        made, shared = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE)
        self._schemas = {key[0]: schema for key, schema in made.items()}
        self.components = shared.get("$defs", {})

    def of(self, model: object, mode: Literal["validation", "serialization"]) -> Any:
        return self._schemas[(model, mode)]


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document."""
    schemas = _Schemas()
    schemas.use(ProblemDocument, "serialization")
    for operation in operations:
        for body in operation.body.values():
            schemas.use(body, "validation")
        for answer in operation.answers.values():
            for model in answer.content.values():
                if model is not None:
                    schemas.use(model, "serialization")
    schemas.generate()
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ruasr_tel",
            "version": version("ruasr-tel"),
            "description": "Russian speech of telephone calls and recordings as text.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas.components},
    }


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.deprecated:
        described["deprecated"] = True
    if operation.body:
        content = {
            kind: {"schema": schemas.of(model, "validation")}
            for kind, model in operation.body.items()
        }
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": about,
            "schema": _path_schema(name),
        }
        for name, about in operation.path_fields.items()
    ]
    return parameters + _query_parameters(operation.query) if operation.query else parameters


def _path_schema(name: str) -> Mapping[str, object]:
    if name in ("id", "uuid"):
        return {"type": "string", "format": "uuid"}
    return {"type": "string", "minLength": 1}


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = TypeAdapter(model).json_schema(ref_template=REFERENCE)
    shared = schema.get("$defs", {})
    parameters = []
    for name, each in schema["properties"].items():
        about = each.pop("description", "")
        reference = each.pop("$ref", None) or each.pop("allOf", [{}])[0].get("$ref")
        inline = shared[reference.rpartition("/")[2]] if reference else {}
        parameters.append(
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "description": about,
                "schema": _without_null({**inline, **each}, shared),
            }
        )
    return parameters


def _without_null(schema: dict[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a query field that may be absent, but has no way of being null."""
    choices = schema.pop("anyOf", None)
    if choices is None:
        return schema
    (choice,) = (each for each in choices if each.get("type") != "null")
    if "$ref" in choice:
        choice = shared[choice["$ref"].rpartition("/")[2]]
    schema.pop("default", None)
    return {**choice, **schema}


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, answer in operation.answers.items():
        responses[str(status)] = {"description": answer.description}
        if answer.content:
            responses[str(status)]["content"] = {
                kind: {"schema": {"type": "string"} if model is None else _output(schemas, model)}
                for kind, model in answer.content.items()
            }
    problem = {PROBLEM_JSON: {"schema": _output(schemas, ProblemDocument)}}
    for status in operation.problems:
        about = DESCRIPTIONS.get(status, HTTPStatus(status).phrase)
        responses.setdefault(str(status), {"description": about, "content": problem})
    responses["500"] = {"description": "A fault of the server.", "content": problem}
    return responses


def _output(schemas: _Schemas, model: object) -> Any:
    return schemas.of(model, "serialization")
