"""``/docs``: Swagger UI from an installed package, so it works with no network."""

from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from aideator_gateway.http.openapi import document

_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>AIdeator API</title>
  <link rel="stylesheet" href="/docs/assets/swagger-ui.css">
  <link rel="icon" href="data:,">
</head>
<body>
  <div id="ui"></div>
  <script src="/docs/assets/swagger-ui-bundle.js"></script>
  <script>
    SwaggerUIBundle({
      url: "/openapi.json", dom_id: "#ui", deepLinking: true, tryItOutEnabled: true,
      validatorUrl: null,
    });
  </script>
</body>
</html>
"""


async def _docs(request: Request) -> Response:
    del request
    return HTMLResponse(_PAGE)


async def _openapi(request: Request) -> Response:
    del request
    return JSONResponse(document())


def docs_routes() -> list[Route | Mount]:
    """Return the routes of the document, the page and what the page loads."""
    assets = Path(str(files("swagger_ui") / "static"))
    return [
        Route("/openapi.json", _openapi, methods=["GET"]),
        Route("/docs", _docs, methods=["GET"]),
        Mount("/docs/assets", StaticFiles(directory=assets)),
    ]
