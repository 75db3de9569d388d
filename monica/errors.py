"""Monica's errors. Each carries the HTTP status and code it answers with; none of them knows Flask.

MonicaError                 500 internal
├── InvalidText             400 text_empty, text_too_long
├── InvalidRequest          422 json_invalid, request_invalid
├── Unauthorized            401 unauthorized
├── Forbidden               403 forbidden
├── UnknownVoice            404 voice_unknown
├── RequestTimeout          408 request_timeout
├── NotAcceptable           406 not_acceptable
├── HungUp                  499 client_hung_up, which nobody hears but the log
├── NotReady                503 model_loading, model_failed, shutting_down
├── Overloaded              503 overloaded
├── DeadlineExceeded        504 deadline_exceeded
├── SynthesisFailed         500 synthesis_failed
├── BookError               422 book_invalid                    monica.warming.book
├── UnknownJob, TooManyJobs 404 job_unknown, 429 jobs_full      monica.warming.jobs
├── CacheFault              503 cache_unusable                  monica.store.cache
├── UnknownEntry            404 entry_unknown                   monica.store.catalogue
├── TooManyPins             409 pins_full                       monica.store.catalogue
├── NoRemake                409 remake_impossible               monica.warming.remake
├── BundleError             422 bundle_invalid                  monica.store.bundle
│   ├── ForeignBundle       409 bundle_foreign
│   └── NoRoom              507 no_room
├── BadRecording            422 recording_invalid               monica.voices.recording
├── VoiceExists, VoicesUnusable  409 voice_exists, 503 voices_unusable  monica.voices.uploads
└── ModelUnavailable        the loader's: the weights cannot be had or read just now
ConfigError                 start-up only, never HTTP
"""

from __future__ import annotations


class MonicaError(Exception):
    """What every error of a request derives from.

    message: one sentence for the caller; it names no path of the machine.
    param: the field of the request that is wrong, if one is.
    retry_after: whole seconds after which trying again makes sense.
    """

    status = 500
    code = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.param = param
        self.retry_after = retry_after


class InvalidText(MonicaError):
    status, code = 400, "text_empty"


class InvalidRequest(MonicaError):
    status, code = 422, "request_invalid"


class Unauthorized(MonicaError):
    status, code = 401, "unauthorized"


class Forbidden(MonicaError):
    status, code = 403, "forbidden"


class UnknownVoice(MonicaError):
    status, code = 404, "voice_unknown"


class RequestTimeout(MonicaError):
    status, code = 408, "request_timeout"


class NotAcceptable(MonicaError):
    status, code = 406, "not_acceptable"


class HungUp(MonicaError):
    status, code = 499, "client_hung_up"


class NotReady(MonicaError):
    status, code = 503, "model_loading"


class Overloaded(MonicaError):
    status, code = 503, "overloaded"


class DeadlineExceeded(MonicaError):
    status, code = 504, "deadline_exceeded"


class SynthesisFailed(MonicaError):
    status, code = 500, "synthesis_failed"


class ModelUnavailable(MonicaError):
    """The checkpoint cannot be downloaded or read; the loader tries again later."""

    status, code = 503, "model_failed"


class ConfigError(Exception):
    """A setting or an installation that must be put right before Monica can start."""
