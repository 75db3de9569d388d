"""Bodies that are sent compressed: gzip is decoded, anything else is refused."""

from __future__ import annotations

import gzip
import zlib
from typing import IO, cast

from monica.errors import MonicaError

GZIP = ("gzip", "x-gzip")  # RFC 9110, section 8.4.1.3: the same
IDENTITY = ("", "identity")


class UnsupportedEncoding(MonicaError):
    """The Content-Encoding is another one than gzip; `Accept-Encoding` names it."""

    status, code = 415, "encoding_unsupported"


class InvalidEncoding(MonicaError):
    """The Content-Encoding is gzip, and the body is not."""

    status, code = 400, "encoding_invalid"


def is_gzip(content_encoding: str) -> bool:
    """Whether a body with this header is to be decoded. Raises UnsupportedEncoding.

    Encodings may be applied one after the other. No client has a reason to, and each layer would multiply what a small
    body can become.
    """
    encodings = [each for each in content_encoding.lower().replace(" ", "").split(",") if each not in IDENTITY]
    if not encodings:
        return False
    if len(encodings) > 1 or encodings[0] not in GZIP:
        raise UnsupportedEncoding("A body is sent as it is, or with Content-Encoding: gzip.")
    return True


class GunzippedBody:
    """A body, decoded as it is read.

    stream: the body as it was sent. Reading raises what reading that raises, and InvalidEncoding.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        # It decodes no more than it is asked for, so a small body that would become a huge one (a "bomb") does no harm
        # to a reader with a limit.
        self._file = gzip.GzipFile(fileobj=stream)

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except EOFError as error:
            raise InvalidEncoding("The gzip of the body breaks off before its end.") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InvalidEncoding("The body is not gzip, as its Content-Encoding says, or it is damaged.") from error


def gunzip(stream: IO[bytes]) -> IO[bytes]:
    """Return a body as what it is decoded to."""
    return cast(IO[bytes], GunzippedBody(stream))
