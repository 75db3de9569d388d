"""/v1/phrases/bundle: export phrases for another machine, and import them from one."""

from __future__ import annotations

import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

import flask_smorest
from flask import Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import FileWrapper

from monica.api.body import BODY_ERRORS, reading
from monica.api.current import service
from monica.api.errors import BodyTooLarge, RangeUnsatisfiable, error_responses
from monica.api.media import RESUMABLE_HEADERS, RESUMED_RESPONSES, make_resumable
from monica.api.schemas_phrases import ExportSchema, ImportedSchema, ImportSchema, parse_query
from monica.errors import InvalidRequest, NotReady
from monica.store.bundle import MAX_MANIFEST, Bundle, BundleError, ForeignBundle, NoRoom, digest_of, export, select_ours
from monica.store.cache import CacheError
from monica.store.catalogue import UnknownPhrase
from monica.store.identity import Identity

bundles = flask_smorest.Blueprint("bundles", __name__, description="Phrases for another machine")

BUNDLE = "application/zip"
CHUNK_BYTES = 2**18
_EXPORT, _IMPORT = ExportSchema(), ImportSchema()
_FILE = {"type": "string", "format": "binary"}
_importing = threading.Lock()  # two imports at once would each count on the same free space


@bundles.route("/v1/phrases/bundle", methods=["GET"])
@bundles.response(
    200,
    _FILE,
    content_type=BUNDLE,
    description="A ZIP that compresses nothing: the WAVs, and a manifest with their checksums.",
    headers=RESUMABLE_HEADERS
    | {
        "X-Monica-Phrases": {"schema": {"type": "integer"}, "description": "How many phrases are in it."},
        "X-Monica-Left-Out": {
            "schema": {"type": "integer"},
            "description": "How many were left out: of another engine, checkpoint or voice, or corrupt.",
        },
    },
)
@bundles.doc(
    parameters=[{"in": "query", "schema": ExportSchema}],
    responses=RESUMED_RESPONSES
    | error_responses(
        UnknownPhrase,
        RangeUnsatisfiable,
        InvalidRequest,
        NoRoom,
        CacheError,
        entry_unknown="There is nothing to export.",
    ),
)
def export_bundle() -> Response:
    """Export the kept phrases, to be imported on another machine.

    The same phrases give the same bytes, so a download that broke off can be resumed. If-Range makes sure that they are
    still the same.
    """
    query = parse_query(_EXPORT, request.args)
    catalogue, folder = service().catalogue, service().settings.cache_dir
    phrases = catalogue.phrases(query["search"])
    chosen = phrases if query["all"] else select_ours(phrases, Identity.from_folder(folder))
    if not chosen:
        raise UnknownPhrase("There is nothing to export.")
    file = _open_unnamed_file()
    try:
        left_out = export(catalogue, chosen, file)
        size = file.tell()
        digest = digest_of(file)
        file.seek(0)
    except OSError as error:
        _close_quietly(file)
        raise NoRoom(f"The bundle cannot be written: {error.strerror}.") from error
    # Werkzeug's wrapper, which can seek to the beginning of a Range. Not gunicorn's: it would use sendfile, which would
    # wait forever for a client that reads nothing.
    response = Response(FileWrapper(file, CHUNK_BYTES), content_type=BUNDLE, direct_passthrough=True)
    response.call_on_close(file.close)
    response.content_length = size
    response.set_etag(digest)
    response.headers["Content-Disposition"] = 'attachment; filename="monica.zip"'
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Monica-Phrases"] = str(len(chosen) - len(left_out))
    response.headers["X-Monica-Left-Out"] = str(len(phrases) - len(chosen) + len(left_out))
    try:
        return make_resumable(response, size)
    except HTTPException:
        response.close()
        raise


@bundles.route("/v1/phrases/bundle", methods=["POST"])
@bundles.response(200, ImportedSchema)
@bundles.doc(
    parameters=[{"in": "query", "schema": ImportSchema}],
    requestBody={"required": True, "content": {BUNDLE: {"schema": _FILE}}},
    responses=error_responses(
        *BODY_ERRORS, ForeignBundle, BodyTooLarge, BundleError, InvalidRequest, NotReady, CacheError, NoRoom
    ),
)
def import_bundle() -> dict[str, Any]:
    """Import a bundle. All of it is examined before anything is kept. A take in it replaces the kept take."""
    force = parse_query(_IMPORT, request.args)["force"]
    catalogue, folder = service().catalogue, service().settings.cache_dir
    if request.mimetype != BUNDLE:
        raise InvalidRequest(f"The Content-Type must be {BUNDLE}.", code="bundle_invalid")
    if not force:
        service().announcer.voices()  # until the engine is ready, the identity on disk may be another engine's
    request.max_content_length = catalogue.limit + MAX_MANIFEST
    file = _open_unnamed_file()
    try:
        _receive_body(file)
        bundle = Bundle(file, catalogue.limit)
        if not force:
            bundle.check_origin(Identity.from_folder(folder))
        with _importing:
            return asdict(bundle.import_into(catalogue))
    except ForeignBundle as error:
        raise ForeignBundle(f"{error} Use force=1 to import it anyway.") from error
    finally:
        _close_quietly(file)


def _open_unnamed_file() -> IO[bytes]:
    """Open a file without a name, on the disk of the cache. Raises NoRoom."""
    try:
        return tempfile.TemporaryFile(dir=service().settings.cache_dir)
    except OSError as error:
        raise NoRoom(f"A file for the bundle cannot be made beside the cache: {error.strerror}.") from error


def _close_quietly(file: IO[bytes]) -> None:
    with suppress(OSError):  # a full disk is reported where it is written to
        file.close()


def _receive_body(file: IO[bytes]) -> None:
    """Write the body of the request into a file. Raises BundleError, NoRoom or one of BODY_ERRORS."""
    while True:
        with reading(BundleError):
            chunk = request.stream.read(CHUNK_BYTES)
        try:
            if not chunk:
                file.flush()
                return
            file.write(chunk)
        except OSError as error:
            raise NoRoom(f"The bundle does not fit on the disk: {error.strerror}.") from error
