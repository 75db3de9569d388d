"""/v1/phrases/bundle: phrases taken to another machine, and brought in from one."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import IO, Any

import flask_smorest
from flask import Response, request

from monica.api.body import reading
from monica.api.current import service
from monica.api.errors import BodyTooLarge, error_responses
from monica.api.schemas_phrases import ExportSchema, ImportedSchema, ImportSchema, parse_query
from monica.errors import InvalidRequest, NotReady, RequestTimeout
from monica.store.bundle import MAX_MANIFEST, Bundle, BundleError, ForeignBundle, NoRoom, export, ours
from monica.store.cache import CacheFault
from monica.store.catalogue import UnknownEntry
from monica.store.identity import Identity

bundles = flask_smorest.Blueprint("bundles", __name__, description="Phrases for another machine")

BUNDLE = "application/zip"
CHUNK_BYTES = 2**18
_EXPORT, _IMPORT = ExportSchema(), ImportSchema()
_FILE = {"type": "string", "format": "binary"}
_importing = threading.Lock()  # two at once would each count on the same room


@bundles.route("/v1/phrases/bundle", methods=["GET"])
@bundles.response(
    200,
    _FILE,
    content_type=BUNDLE,
    description="A ZIP that compresses nothing: the WAVs, and a manifest with their checksums.",
    headers={
        "X-Monica-Phrases": {"schema": {"type": "integer"}, "description": "Phrases in it."},
        "X-Monica-Left-Out": {
            "schema": {"type": "integer"},
            "description": "Phrases that are not: of another engine, checkpoint or voice, or corrupt.",
        },
    },
)
@bundles.doc(
    parameters=[{"in": "query", "schema": ExportSchema}],
    responses=error_responses(
        UnknownEntry, InvalidRequest, NoRoom, CacheFault, entry_unknown="There is nothing to export."
    ),
)
def give() -> Response:
    """Export what is kept, to be brought in on another machine."""
    query = parse_query(_EXPORT, request.args)
    catalogue, folder = service().catalogue, service().settings.cache_dir
    cards = catalogue.cards(query["search"])
    chosen = cards if query["all"] else ours(cards, Identity.read(folder))
    if not chosen:
        raise UnknownEntry("There is nothing to export.")
    file = _scratch()
    try:
        left_out = export(catalogue, chosen, file)
        size = file.tell()
        file.seek(0)
    except OSError as error:
        _discard(file)
        raise NoRoom(f"The bundle cannot be written: {error.strerror}.") from error
    response = Response(_pour(file), content_type=BUNDLE)
    response.call_on_close(file.close)
    response.content_length = size
    response.headers["Content-Disposition"] = 'attachment; filename="monica.zip"'
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Monica-Phrases"] = str(len(chosen) - len(left_out))
    response.headers["X-Monica-Left-Out"] = str(len(cards) - len(chosen) + len(left_out))
    return response


@bundles.route("/v1/phrases/bundle", methods=["POST"])
@bundles.response(200, ImportedSchema)
@bundles.doc(
    parameters=[{"in": "query", "schema": ImportSchema}],
    requestBody={"required": True, "content": {BUNDLE: {"schema": _FILE}}},
    responses=error_responses(
        RequestTimeout, ForeignBundle, BodyTooLarge, BundleError, InvalidRequest, NotReady, CacheFault, NoRoom
    ),
)
def take() -> dict[str, Any]:
    """Bring a bundle in. It is examined as a whole before anything is kept; a take in it replaces the kept one."""
    force = parse_query(_IMPORT, request.args)["force"]
    catalogue, folder = service().catalogue, service().settings.cache_dir
    if request.mimetype != BUNDLE:
        raise InvalidRequest(f"The Content-Type must be {BUNDLE}.", code="bundle_invalid")
    if not force:
        service().announcer.voices()  # until the engine is ready, it is another one's identity that may stand there
    request.max_content_length = catalogue.limit + MAX_MANIFEST
    file = _scratch()
    try:
        _receive(file)
        bundle = Bundle(file, catalogue.limit)
        if not force:
            bundle.check(Identity.read(folder))
        with _importing:
            return asdict(bundle.put_into(catalogue))
    except ForeignBundle as error:
        raise ForeignBundle(f"{error} It is brought in all the same with force=1.") from error
    finally:
        _discard(file)


def _pour(file: IO[bytes]) -> Iterator[bytes]:
    # Not as a file to send: sendfile would wait for a client that reads nothing for ever.
    with file:
        yield from iter(partial(file.read, CHUNK_BYTES), b"")


def _scratch() -> IO[bytes]:
    """Open a file without a name, on the disk of the cache. Raises NoRoom."""
    try:
        return tempfile.TemporaryFile(dir=service().settings.cache_dir)
    except OSError as error:
        raise NoRoom(f"There can be no file beside the cache: {error.strerror}.") from error


def _discard(file: IO[bytes]) -> None:
    with suppress(OSError):  # a full disk is told of where it is written to
        file.close()


def _receive(file: IO[bytes]) -> None:
    """Put the body into a file. Raises RequestTimeout, InvalidRequest or NoRoom."""
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
