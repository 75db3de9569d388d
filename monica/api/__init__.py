"""The HTTP side: blueprints, schemas and the one error handler. Only this package knows Flask."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import flask_smorest
import flask_swagger_ui
from flask import Blueprint, Flask, Response, json, request
from werkzeug.middleware.proxy_fix import ProxyFix

from monica.admission import MAX_BODY_BYTES
from monica.api import access, auth, cors, errors
from monica.api.antenna import antenna
from monica.api.body import Request
from monica.api.books import books
from monica.api.bundles import bundles
from monica.api.clock import clock
from monica.api.events import events
from monica.api.health import health
from monica.api.jobs import jobs
from monica.api.lexicon import lexicon
from monica.api.metrics import metrics
from monica.api.openai import openai
from monica.api.pages import pages
from monica.api.phrases import Key, phrases
from monica.api.players import players
from monica.api.repeats import Repeats
from monica.api.schemas import ErrorSchema
from monica.api.takes import takes
from monica.api.text import text
from monica.api.tts import tts
from monica.api.voices import voices
from monica.service import Service

ASSETS = "/docs/assets"


class Api(flask_smorest.Api):
    """The blueprints and their OpenAPI document, which is made when it is first asked for."""

    ERROR_SCHEMA = ErrorSchema

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._undocumented: list[flask_smorest.Blueprint] = []
        self._lock = threading.Lock()
        super().__init__(*arguments, **options)

    def register_blueprint(self, blueprint: flask_smorest.Blueprint) -> None:
        """Register a blueprint, and leave its documentation for later: it takes a tenth of the start of a server."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blueprint.name] = self
        self._app.register_blueprint(blueprint)
        self._undocumented.append(blueprint)

    def _register_error_handlers(self) -> None:
        """Registers none: monica.api.errors handles all errors, in one shape."""

    def _openapi_json(self) -> Response:
        """Serve the document. Behind a proxy that mounts Monica under a prefix, it names that as the server."""
        with self._lock:
            while self._undocumented:
                blueprint = self._undocumented.pop(0)
                blueprint.register_views_in_doc(self, self._app, self.spec, name=blueprint.name, parameters=None)
                self.spec.tag({"name": blueprint.name, "description": blueprint.description})
        mounted = {"servers": [{"url": request.script_root}]} if request.script_root else {}
        document = json.dumps(self.spec.to_dict() | mounted, indent=2, sort_keys=False)
        return Response(document, mimetype="application/json")

    def _openapi_swagger_ui(self) -> str:
        """Serve the page. Its files are looked for where it is itself, under a prefix too."""
        self._swagger_ui_url = f"{request.script_root}{ASSETS}/"
        page: str = super()._openapi_swagger_ui()
        return page


def build(service: Service, version: str) -> Flask:
    """Build the Flask application that serves `service`."""
    app = Flask("monica", static_folder=None)
    app.request_class = Request
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        PROVIDE_AUTOMATIC_OPTIONS=False,
        API_TITLE="Monica",
        API_VERSION=version,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        OPENAPI_SWAGGER_UI_PATH="/docs",
        OPENAPI_SWAGGER_UI_URL=f"{ASSETS}/",
        OPENAPI_SWAGGER_UI_CONFIG={"deepLinking": True, "tryItOutEnabled": True},
        API_SPEC_OPTIONS={"components": {"securitySchemes": auth.SECURITY_SCHEMES}},
    )
    app.url_map.strict_slashes = False  # a slash at the end changes nothing
    app.extensions["monica"] = service
    app.extensions["monica-repeats"] = Repeats(service.announcer)
    if service.settings.proxy_prefix:
        # Of all that a proxy may say, only the prefix. The address and the host decide who this machine is.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=0, x_host=0, x_prefix=1)  # type: ignore[method-assign]
    access.register(app)
    if service.settings.cors_origins:
        cors.register(app, service.settings.cors_origins)
    auth.register(app)
    errors.register(app)
    api = Api(app, spec_kwargs={"extra_plugins": [auth.Guards()]})
    app.url_map.converters["key"] = Key
    api.register_converter(Key, Key.schema)
    speaking, on_air = (tts, openai, voices, text, lexicon), (antenna, events, clock)
    for blueprint in (*speaking, *on_air, jobs, books, phrases, takes, bundles, health, metrics):
        api.register_blueprint(blueprint)
    if service.settings.get_speech:
        api.register_blueprint(players)
    app.register_blueprint(pages)
    # Swagger UI's files come from a wheel, so the page loads nothing from another host.
    assets = Path(os.fspath(flask_swagger_ui.__file__)).parent / "dist"
    app.register_blueprint(Blueprint("docs", __name__, static_folder=assets, static_url_path=ASSETS))
    return app
