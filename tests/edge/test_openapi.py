"""The served document says what is served, and is valid OpenAPI 3.1."""

from __future__ import annotations

import json
from typing import Any

import openapi_spec_validator
import pytest

from edge import openapi
from edge.calendar import CalendarFile
from edge.direct import DirectUploads
from edge.docs_page import DocsPage
from edge.events import EventsEndpoint
from edge.files import Avatars, Files
from edge.operations import Document, Healthz, MetricsPage, Readyz
from edge.problems import MEDIA_TYPE
from edge.routes import ROUTES
from edge.unsubscribe import UnsubscribePage


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(openapi.document(ROUTES, server="http://edge.test"))
    return made


def test_document_is_valid(document: dict[str, Any]) -> None:
    openapi_spec_validator.validate(document)


def test_every_call_is_in_it_and_nothing_else(document: dict[str, Any]) -> None:
    told = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    served = {(route.method, route.path) for route in ROUTES}
    served |= {
        ("GET", each.path) for each in (Healthz, Readyz, MetricsPage, Document, DocsPage, Files, Avatars, CalendarFile)
    }
    served |= {("PUT", DirectUploads.path), ("GET", UnsubscribePage.path), ("POST", UnsubscribePage.path)}
    served.add(("GET", EventsEndpoint.path))
    assert told == served


def test_every_operation_has_a_name_of_its_own_a_summary_and_problems(document: dict[str, Any]) -> None:
    operations = [(path, each) for path, item in document["paths"].items() for each in item.values()]
    assert len({each["operationId"] for _, each in operations}) == len(operations)
    for path, each in operations:
        assert each["summary"], path
        if path.startswith("/v1/"):
            assert {"422", "429", "503", "504"} <= set(each["responses"])
    for response in document["components"]["responses"].values():
        assert response["content"][MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}


def test_body_takes_no_other_fields_and_null_for_a_default(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["CreateTask"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["project_id", "title"]
    assert {"type": "null"} in schema["properties"]["priority"]["anyOf"]
    assert "anyOf" not in schema["properties"]["title"]


def test_what_path_and_header_give_is_not_in_the_body(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["UpdateTask"]
    assert not {"id", "if_match"} & set(schema["properties"])
    parameters = document["paths"]["/v1/tasks/{id}"]["patch"]["parameters"]
    assert [each["name"] for each in parameters if each.get("in") == "path"] == ["id"]
    assert {"$ref": "#/components/parameters/If-Match"} in parameters


def test_query_parameters_are_the_fields_of_the_message(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/tasks"]["get"]
    query = {each["name"]: each for each in operation["parameters"] if each.get("in") == "query"}
    assert {"limit", "cursor", "status", "q", "sort", "deleted"} <= set(query)
    assert query["limit"]["schema"]["maximum"] == 200
    assert query["cursor"]["schema"]["type"] == "string"


def test_public_calls_need_no_token_and_others_name_their_scope(document: dict[str, Any]) -> None:
    assert document["paths"]["/v1/users"]["post"]["security"] == []
    assert document["paths"]["/v1/tasks"]["get"]["security"] == [{"bearer": ["tasks:read"]}]
