"""POST /v1/phrases/warm and /v1/jobs: phrases made before they are asked for."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Response, jsonify, request, url_for

from monica.api.body import BODY_ERRORS, read_body
from monica.api.current import service
from monica.api.errors import BodyTooLarge, error_responses
from monica.api.schemas_jobs import (
    EstimateSchema,
    JobSchema,
    JobsSchema,
    WarmBookSchema,
    WarmListSchema,
    parse_warm,
)
from monica.errors import InvalidJson, InvalidRequest
from monica.listening.model import ListeningUnavailable
from monica.store.cache import CacheError
from monica.warming.book.errors import BookError
from monica.warming.book.source import MAX_SIZE
from monica.warming.jobs import TooManyJobs, UnknownJob

jobs = flask_smorest.Blueprint("jobs", __name__, description="Phrases made ahead of time")

MAX_BODY_BYTES = 2 * MAX_SIZE + 2**16
"""Enough for a book of the largest size: JSON needs two bytes for a quote or a line feed."""

_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"oneOf": [WarmListSchema, WarmBookSchema]}}},
}
_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "The URL of the job."}}
_WARM_RESPONSES = error_responses(
    *BODY_ERRORS, BodyTooLarge, InvalidJson, InvalidRequest, BookError, TooManyJobs, CacheError, ListeningUnavailable
)
_WARM_RESPONSES["200"] = {
    "description": "The estimate, if `dry_run` was set.",
    "content": {"application/json": {"schema": EstimateSchema}},
}


@jobs.route("/v1/phrases/warm", methods=["POST"])
@jobs.response(202, JobSchema, headers=_LOCATION, description="The job; it runs once the jobs before it have ended.")
@jobs.doc(requestBody=_BODY, responses=_WARM_RESPONSES)
def warm() -> Response:
    """Make phrases ahead of time, whenever no live announcement is being made: a list, or those of a phrase book."""
    request.max_content_length = MAX_BODY_BYTES
    source, dry_run, listen = parse_warm(read_body(request))
    if dry_run:
        return jsonify(service().warmer.estimate(source).as_dict())
    job = service().warmer.submit(source, listen=listen)
    response = jsonify(job.as_dict())
    response.status_code = 202
    response.headers["Location"] = url_for("jobs.show", job_id=job.id)
    return response


@jobs.route("/v1/jobs", methods=["GET"])
@jobs.response(200, JobsSchema)
def index() -> dict[str, Any]:
    """List the jobs: those waiting, the running one, and the latest that have ended."""
    return {"jobs": [job.as_dict() for job in service().warmer.jobs.all()]}


@jobs.route("/v1/jobs/<string:job_id>", methods=["GET"])
@jobs.response(200, JobSchema)
@jobs.doc(responses=error_responses(UnknownJob))
def show(job_id: str) -> dict[str, Any]:
    """Show the progress of a job."""
    return service().warmer.jobs.get(job_id).as_dict()


@jobs.route("/v1/jobs/<string:job_id>", methods=["DELETE"])
@jobs.response(200, JobSchema, description="The job, which has ended.")
@jobs.doc(responses=error_responses(UnknownJob))
def stop(job_id: str) -> dict[str, Any]:
    """Stop a job: what it has made is kept, running takes are abandoned. A job that has ended stays as it is."""
    return service().warmer.stop(job_id).as_dict()
