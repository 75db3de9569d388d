"""/v1/books: the phrase books that phrases have been made of, as boards to choose from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import flask_smorest

from monica.api.current import service
from monica.api.errors import error_responses
from monica.api.schemas_books import BoardSchema, BooksSchema
from monica.engine import SynthesisParams
from monica.errors import MonicaError, NotReady
from monica.speech import SpeechRequest
from monica.store.cache import CacheError
from monica.warming.book import BookError, PhraseBook
from monica.warming.book.block import Block
from monica.warming.book.template import Insertion, Template
from monica.warming.job import Job
from monica.warming.jobs import UnknownJob

books = flask_smorest.Blueprint("books", __name__, description="Phrase books as boards")

MAX_LOOKED_UP = 500
"""How many phrases of a book are looked up in the cache."""


@books.route("/v1/books", methods=["GET"])
@books.response(200, BooksSchema)
def index() -> dict[str, Any]:
    """List the phrase books of the jobs."""
    found = service().warmer.jobs.books()
    return {"books": [{"id": job.id, "name": job.source.name, "created": job.created} for job in found]}


@books.route("/v1/books/<string:job_id>", methods=["GET"])
@books.response(200, BoardSchema)
@books.doc(responses=error_responses(UnknownJob, BookError, CacheError))
def show(job_id: str) -> dict[str, Any]:
    """Show the phrases of a book by groups, with the slots that are to be filled in."""
    job = service().warmer.jobs.get(job_id)
    book = _book_of(job)
    groups: dict[str, list[dict[str, Any]]] = {}
    for block in book.blocks:
        groups.setdefault(block.group, []).extend(_tile(block, template) for template in block.variants)
    _look_up([tile for tiles in groups.values() for tile in tiles if not tile["slots"]][:MAX_LOOKED_UP])
    return {
        "id": job.id,
        "name": job.source.name,
        "groups": [{"name": name, "tiles": tiles} for name, tiles in groups.items()],
        "rosters": {name: [dict(value) for value in roster.values] for name, roster in book.rosters.items()},
    }


def _book_of(job: Job) -> PhraseBook:
    if job.source.book is None:
        raise UnknownJob("This job has no phrase book.", param="id")
    return job.source.parse_book(service().settings.max_text_length)


def _tile(block: Block, template: Template) -> dict[str, Any]:
    prototype = block.prototype
    return {
        "text": "".join(_written(part) for part in template.parts),
        "parts": [_part(part) for part in template.parts],
        "slots": [{"name": name, "roster": block.placeholders[name].name} for name in template.placeholders],
        "voice": prototype.voice,
        "seed": prototype.seed,
        "params": asdict(prototype.params),
        "ready": None,
    }


def _written(part: str | Insertion) -> str:
    if isinstance(part, str):
        return part
    return f"{{{part.placeholder}.{part.field}}}" if part.field else f"{{{part.placeholder}}}"


def _part(part: str | Insertion) -> dict[str, str | None]:
    if isinstance(part, str):
        return {"words": part, "slot": None, "field": None}
    return {"words": None, "slot": part.placeholder, "field": part.field}


def _look_up(tiles: list[dict[str, Any]]) -> None:
    """Note of each tile without slots whether its sound is kept."""
    found, keys = service(), dict[str, dict[str, Any]]()
    for tile in tiles:
        try:
            params = SynthesisParams(**tile["params"])
            request = SpeechRequest(tile["parts"][0]["words"], tile["voice"], tile["seed"], params)
            keys[found.announcer.key_of(request)] = tile
        except NotReady:
            return
        except MonicaError:  # it cannot be said: whoever taps it is told why
            tile["ready"] = False
    kept = found.catalogue.kept(keys)
    for key, tile in keys.items():
        tile["ready"] = key in kept
