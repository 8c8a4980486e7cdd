import json

from openapi_spec_validator import validate

from ruasr_tel_adapters.rest.openapi import document
from ruasr_tel_adapters.rest.routes import OPERATIONS, openapi_text
from tests.adapters.rest.fakes import Rest


def test_the_document_is_valid_openapi() -> None:
    validate(json.loads(openapi_text()))


def test_every_operation_has_its_own_name_and_says_what_goes_wrong() -> None:
    operations = [each for path in document(OPERATIONS)["paths"].values() for each in path.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    for each in operations:
        assert each["summary"]
        assert "application/problem+json" in each["responses"]["500"]["content"] or (
            each["tags"] == ["seed"]
        )


def test_a_query_field_is_described_with_its_bounds_and_without_null() -> None:
    (listing,) = (
        each for each in OPERATIONS if (each.method, each.path) == ("GET", "/v1/recordings")
    )
    described = document([listing])["paths"]["/v1/recordings"]["get"]["parameters"]
    schemas = {each["name"]: each["schema"] for each in described}
    assert schemas["limit"] == {
        "type": "integer",
        "default": 50,
        "minimum": 1,
        "maximum": 200,
        "title": "Limit",
    }
    assert schemas["state"]["enum"][0] == "queued"
    assert schemas["since"]["format"] == "date-time"


async def test_the_document_is_served(rest: Rest) -> None:
    assert (await rest.json("GET", "/openapi.json"))["openapi"] == "3.1.0"
