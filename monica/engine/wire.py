"""What a server and the replicas of its engine say to each other over HTTP. Both ends use it.

A request is a JSON header and, behind it, bytes: a recording, or the conditionals of a voice. An answer is frames:
samples as they are made, then the end or an error. An answer that stops without either was cut off.
"""

from __future__ import annotations

import hmac
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monica.errors import ConfigError, MonicaError

IDENTITY, TAKE, VOICE, CONDITIONALS = "/identity", "/take", "/voice", "/conditionals"
"""Who answers; make a take; learn a voice; make the conditionals of one."""

SAMPLES, END, ERROR = b"s", b"e", b"x"
"""The kinds of frames."""

_HEADER = struct.Struct("<I")
_FRAME = struct.Struct("<cI")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a replica is."""

    monica: str
    """The version of Monica; both ends must have the same."""
    engine: str
    """The name of the engine in the registry."""
    model: str
    device: str
    language: str
    sample_rate: int
    """Hertz."""
    fingerprint: str
    clones: bool

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, written: bytes) -> Identity:
        """Raises ValueError if no replica of any version has written that."""
        try:
            read = json.loads(written)
            return cls(**{field.name: read[field.name] for field in fields(cls)})
        except (KeyError, TypeError) as error:
            raise ValueError("This is not the identity of a replica.") from error


def read_token(file: Path | None) -> str:
    """Return the token that replicas ask for. Raises ConfigError."""
    if file is None:
        raise ConfigError("MONICA_RAY_TOKEN_FILE is not set: the replicas and their clients share a token.")
    try:
        token = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(f"MONICA_RAY_TOKEN_FILE={str(file)!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        token = ""
    if not token.isprintable() or " " in token or not token:
        raise ConfigError(f"MONICA_RAY_TOKEN_FILE={str(file)!r}: a token is one word of ASCII.")
    return token


def authorization(token: str) -> str:
    """Return the header that carries a token."""
    return f"Bearer {token}"


def is_authorized(header: str | None, token: str) -> bool:
    return hmac.compare_digest((header or "").encode(), authorization(token).encode())


def pack_request(header: dict[str, Any], attachment: bytes = b"") -> bytes:
    written = json.dumps(header).encode()
    return _HEADER.pack(len(written)) + written + attachment


def unpack_request(body: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the bytes behind it. Raises ValueError if it is not a request."""
    try:
        (length,) = _HEADER.unpack_from(body)
        header = json.loads(body[_HEADER.size : _HEADER.size + length])
    except struct.error as error:
        raise ValueError("This is not a request.") from error
    if not isinstance(header, dict):
        raise ValueError("This is not a request.")  # noqa: TRY004  the caller knows one error
    return header, body[_HEADER.size + length :]


def pack_samples(samples: NDArray[np.float32]) -> bytes:
    """samples: (N,)."""
    return pack_frame(SAMPLES, samples.astype("<f4").tobytes())


def pack_error(error: MonicaError) -> bytes:
    told = {"message": error.message, "code": error.code, "param": error.param, "retry_after": error.retry_after}
    return pack_frame(ERROR, json.dumps(told).encode())


def pack_frame(kind: bytes, payload: bytes = b"") -> bytes:
    return _FRAME.pack(kind, len(payload)) + payload


def read_frames(read: Callable[[int], bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the payload of each frame, up to the end or an error.

    read: returns that many bytes, or fewer at the end of what there is. Raises EOFError if the answer was cut off.
    """
    kind = SAMPLES
    while kind == SAMPLES:
        head = read(_FRAME.size)
        if len(head) < _FRAME.size:
            raise EOFError
        kind, length = _FRAME.unpack(head)
        payload = read(length)
        if len(payload) < length:
            raise EOFError
        yield kind, payload


def samples_of(payload: bytes) -> NDArray[np.float32]:
    """Return the samples of a frame: (N,)."""
    return np.frombuffer(payload, "<f4").astype(np.float32)
