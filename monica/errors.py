"""Monica's errors. Each carries the HTTP status and code it is answered with. None of them knows Flask.

The OpenAPI document is generated from these classes: the codes of a class and what they mean are its `codes`, or else
its `code` and the first line of its docstring. A test compares this tree with the classes.

MonicaError                 500 internal
├── InvalidText             400 text_empty, text_too_long
├── InvalidRequest          422 request_invalid
│   └── InvalidJson         422 json_invalid
├── Unauthorized            401 unauthorized
├── Forbidden               403 forbidden
├── UnknownVoice            404 voice_unknown
├── RequestTimeout          408 request_timeout
├── NotAcceptable           406 not_acceptable
├── HungUp                  499 client_hung_up                  only ever in the log: the client has gone
├── NotReady                503 model_loading, model_failed, shutting_down
│   └── DeviceLost          503 model_failed
├── Overloaded              503 overloaded
├── DeadlineExceeded        504 deadline_exceeded
├── SynthesisFailed         500 synthesis_failed
├── ModelUnavailable        503 model_failed                    stays inside the loader, which answers NotReady
├── MalformedRequest        400 request_invalid                 monica.api.errors
├── NotFound                404 not_found                       monica.api.errors
├── MethodNotAllowed        405 method_not_allowed              monica.api.errors
├── BodyTooLarge            413 body_too_large                  monica.api.errors
├── RangeUnsatisfiable      416 range_unsatisfiable             monica.api.errors
├── UnsupportedEncoding     415 encoding_unsupported            monica.api.content_encoding
├── InvalidEncoding         400 encoding_invalid                monica.api.content_encoding
├── UnknownModel            404 model_unknown                   monica.api.openai
├── NoLexicon               409 lexicon_missing                 monica.api.lexicon
├── LexiconRefused          422 lexicon_invalid                 monica.text.lexicon_file
├── LexiconChanged          412 lexicon_changed                 monica.text.lexicon_file
├── LexiconUnusable         503 lexicon_unusable                monica.text.lexicon_file
├── BookError               422 book_invalid                    monica.warming.book.errors
├── UnknownCue              404 announcement_unknown            monica.antenna.rundown
├── QueueFull               429 queue_full                      monica.antenna.rundown
├── NotWaiting              409 announcement_not_waiting        monica.antenna.antenna
├── NothingToReplay         409 nothing_to_replay               monica.antenna.antenna
├── UnknownChime            422 chime_unknown                   monica.antenna.chimes
├── NoClock                 409 clock_off                       monica.tournament.clock
├── UnknownJob              404 job_unknown                     monica.warming.jobs
├── TooManyJobs             429 jobs_full                       monica.warming.jobs
├── NoRemake                409 remake_impossible               monica.warming.remake
├── CacheError              503 cache_unusable                  monica.store.cache
├── UnknownPhrase           404 entry_unknown                   monica.store.catalogue
├── TooManyPins             409 pins_full                       monica.store.catalogue
├── WordsUnknown            409 words_unknown                   monica.store.phrase
├── ListeningUnavailable    409 listening_unavailable           monica.listening.model
├── ListeningFailed         500 listening_failed                monica.listening.listener
├── UnknownTake             404 take_unknown                    monica.store.side_takes
├── BundleError             422 bundle_invalid                  monica.store.bundle
│   ├── ForeignBundle       409 bundle_foreign                  monica.store.bundle
│   └── NoRoom              507 no_room                         monica.store.bundle
├── BadRecording            422 recording_invalid               monica.voices.recording
├── VoiceExists             409 voice_exists                    monica.voices.uploads
├── VoicesUnusable          503 voices_unusable                 monica.voices.uploads
├── StudioRefused           500 internal                        monica.render.rendering, the command line's own
├── Unavailable             500 internal                        monica.cli.remote, the command line's own
└── Refused                 500 internal                        monica.cli.remote, the command line's own
ConfigError                 at start-up only, never over HTTP
"""

from __future__ import annotations

from typing import ClassVar


class MonicaError(Exception):
    """The base of every error that ends a request.

    message: one sentence for the caller. It contains no path of this machine.
    param: the request field that is wrong, if one is.
    retry_after: whole seconds after which a retry makes sense.
    """

    status = 500
    code = "internal"
    """The code of an error that is raised without one."""
    codes: ClassVar[dict[str, str]] = {}
    """What each code means, if the class has more than one."""

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

    @classmethod
    def described_codes(cls) -> dict[str, str]:
        """Return the codes that this class answers with, and a sentence for API users about each."""
        return cls.codes or {cls.code: (cls.__doc__ or "").partition("\n")[0]}


class InvalidText(MonicaError):
    """The text cannot be spoken."""

    status, code = 400, "text_empty"
    codes: ClassVar = {
        "text_empty": "The text contains nothing that can be spoken.",
        "text_too_long": "The text is longer than MAX_TEXT_LENGTH, or than the engine can speak.",
    }


class InvalidRequest(MonicaError):
    """A field, parameter or header is missing, unknown or has a wrong value."""

    status, code = 422, "request_invalid"


class InvalidJson(InvalidRequest):
    """The body is not a JSON object, or is not sent as application/json."""

    status, code = 422, "json_invalid"


class Unauthorized(MonicaError):
    """The request does not carry the API key."""

    status, code = 401, "unauthorized"


class Forbidden(MonicaError):
    """No API key is set, and the request does not come from this machine."""

    status, code = 403, "forbidden"


class UnknownVoice(MonicaError):
    """No voice has this name."""

    status, code = 404, "voice_unknown"


class RequestTimeout(MonicaError):
    """The body did not arrive in time."""

    status, code = 408, "request_timeout"


class NotAcceptable(MonicaError):
    """Accept names only audio formats that Monica does not make."""

    status, code = 406, "not_acceptable"


class HungUp(MonicaError):
    """The client closed its connection before the answer."""

    status, code = 499, "client_hung_up"


class NotReady(MonicaError):
    """The engine is not ready to speak."""

    status, code = 503, "model_loading"
    codes: ClassVar = {
        "model_loading": "The model is still being loaded.",
        "model_failed": "The model cannot be used; /health says why.",
        "shutting_down": "Monica is shutting down.",
    }


class DeviceLost(NotReady):
    """The device cannot be used any more by this process; it ends, and another one is started.

    An engine raises it. A CUDA context that an error has broken stays broken: every later call in the process fails,
    so neither another attempt to load nor another take can succeed.
    """

    code = "model_failed"
    codes: ClassVar = {}


class Overloaded(MonicaError):
    """Too many requests already wait or send large bodies, or the wait would be longer than the deadline."""

    status, code = 503, "overloaded"


class DeadlineExceeded(MonicaError):
    """The deadline passed before the sentence was made."""

    status, code = 504, "deadline_exceeded"


class SynthesisFailed(MonicaError):
    """The engine could not speak the text."""

    status, code = 500, "synthesis_failed"


class ModelUnavailable(MonicaError):
    """The checkpoint cannot be downloaded or read; the loader tries again later."""

    status, code = 503, "model_failed"


class ConfigError(Exception):
    """A setting or an installation that must be corrected before Monica can start."""
