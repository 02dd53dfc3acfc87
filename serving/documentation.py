"""/docs: Swagger UI from an installed package, so that it opens without the network."""

from importlib import resources

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

ASSETS = "/docs/assets"
_SHOWN = {"docExpansion": "list", "defaultModelsExpandDepth": -1, "filter": True, "persistAuthorization": True}


def serve_documentation(app: FastAPI) -> None:
    """Let an application whose `docs_url` is None serve its documentation at /docs."""
    static = resources.files("fastapi_offline") / "static"
    app.mount(ASSETS, StaticFiles(directory=str(static)), name="documentation")

    @app.get("/docs", include_in_schema=False)
    def show_documentation(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        return get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title} API",
            swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
            swagger_ui_parameters=_SHOWN,
        )
