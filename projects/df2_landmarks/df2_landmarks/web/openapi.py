"""The OpenAPI document of an application, from its sections and the structs that they decode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from df2_landmarks.formats import code_version
from df2_landmarks.web.section import ErrorRecord, Section

REFERENCE = "#/components/schemas/{name}"
TITLE = "df2_landmarks"
COMMON_REFUSALS = {
    400: "The request is damaged, or a field has a wrong value.",
    401: "The token is missing or unknown.",
    403: "The request names another server, or comes from the page of another site.",
    408: "The request did not arrive in time.",
    413: "The request is too large.",
    415: "It is another kind of content than expected.",
    503: "Busy: `Retry-After` says in how many seconds to try again.",
}


def reference(struct: type) -> dict[str, str]:
    """Return the reference to the schema of a struct."""
    return {"$ref": REFERENCE.format(name=struct.__name__)}


def answers(
    contents: Mapping[str, Any], refusals: Mapping[int, str] = COMMON_REFUSALS
) -> dict[str, Any]:
    """Return the responses of an operation.

    Args:
        contents: media type -> schema of the answer with status 200.
        refusals: status -> when it is given.
    """
    error = {"application/json": {"schema": reference(ErrorRecord)}}
    return {
        "200": {
            "description": "Done.",
            "content": {kind: {"schema": schema} for kind, schema in contents.items()},
        },
        **{
            str(status): {"description": text, "content": error}
            for status, text in refusals.items()
        },
    }


def openapi_document(sections: Sequence[Section], *, needs_token: bool) -> dict[str, Any]:
    """Return the document.

    Args:
        sections: of the application.
        needs_token: whether requests need one.
    """
    structs = [ErrorRecord, *(struct for section in sections for struct in section.structs)]
    _, schemas = msgspec.json.schema_components(structs, ref_template=REFERENCE)
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
    components = {
        "schemas": schemas,
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": code_version()},
        "paths": {path: item for section in sections for path, item in section.paths.items()},
        "components": components,
    }
    if needs_token:
        document["security"] = [{"token": []}]
    return document
