"""Prints the OpenAPI 3.1 document of the API with every WebSocket message among its components.

`python -m agent_console.api.schema` is what the console's TypeScript types are generated from: `ServerMessage`,
`ClientMessage` and `View` with all they hold.
"""

import json
import sys
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import TypeAdapter

from agent_console.api import messages
from agent_console.api.routes import router

_REF = "#/components/schemas/{model}"


def openapi() -> dict[str, Any]:
    """The document. Components hold the HTTP bodies and the WebSocket's messages."""
    app = FastAPI(title="Offhook console", version="1")
    app.include_router(router)
    document = app.openapi()
    components = document.setdefault("components", {}).setdefault("schemas", {})
    modes: dict[str, Literal["serialization", "validation"]] = {
        "ServerMessage": "serialization",  # fields with a default are always there
        "ClientMessage": "validation",  # fields with a default may be left out
        "View": "serialization",
    }
    for name, mode in modes.items():
        schema = TypeAdapter(getattr(messages, name)).json_schema(ref_template=_REF, mode=mode)
        components.update(schema.pop("$defs", {}))
        components[name] = schema
    return document


def main() -> None:
    """Print the document as JSON."""
    json.dump(openapi(), sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
