"""Write the server's OpenAPI document to ui/openapi.json; `npm run api` then makes types of it."""

import json
from pathlib import Path

from agenttrace_server.app import create_app
from agenttrace_server.settings import Settings

TARGET = Path(__file__).with_name("openapi.json")


def document() -> str:
    """Return the document as it is committed."""
    return json.dumps(create_app(Settings.model_construct()).openapi(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
