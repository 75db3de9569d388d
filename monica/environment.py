"""Readers of environment variables: each turns the text of one into a value."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from dataclasses import Field, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from environs import Env, EnvError, ValidationError, validate

from monica.errors import ConfigError

PREFIX = "MONICA_"
"""What the names of most settings begin with."""

# What Kubernetes sets in every pod for a service, and Docker in a container for a link: NAME=value.
# Sources: kubernetes.io/docs/concepts/services-networking/service/#environment-variables,
# docs.docker.com/engine/network/links/#environment-variables.
_LINK = re.compile(
    rf"({PREFIX}(?:.+?_)?)"
    r"(?:SERVICE_HOST=.*|SERVICE_PORT(?:_.+?)?=.*|PORT=(?:tcp|udp|sctp)://.*|PORT_\d+_(?:TCP|UDP|SCTP)(?:_[A-Z_]+)?=.*)"
)

_KEY = re.compile(r"[!-~]+")  # characters that fit into a header and are neither folded nor cut there
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_IMPLIED_PORTS = {"http": ":80", "https": ":443"}

T = TypeVar("T")
Reader = Callable[[str], T]
"""Reads the environment variable of that name. Raises EnvError if its value is wrong."""


class _Environment(Env):
    """The environment, without what some readers of env files leave around a value."""

    def _get_value(self, env_key: str, default: Any) -> Any:
        value = super()._get_value(env_key, default)
        return unquote(value) if isinstance(value, str) else value


def unquote(value: str) -> str:
    """Strip the space around a value, and one pair of quotes.

    A shell, Compose and systemd remove quotes. `docker run --env-file` and Kubernetes' config maps pass them on, and
    the carriage return of a file written on Windows too.
    """
    value = value.strip()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def text(name: str) -> str:
    return _Environment().str(name)


def path(name: str) -> Path:
    """Read a path. This is the only place where `~` and `$NAME` are expanded.

    Some libraries expand paths by themselves (diskcache does) and some do not. If it were left to them, one setting
    would name two folders.
    """
    path = os.path.expandvars(_Environment().str(name))
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise EnvError("The home folder that `~` stands for is not known.") from error


def address(name: str) -> str:
    """Read the address of a server: http://host:port, with a path or without one."""
    value = _Environment().str(name).rstrip("/")
    try:
        where = urlsplit(value)
        is_address = where.scheme in ("http", "https") and where.hostname and where.port != 0
    except ValueError:  # a port that is no number
        is_address = False
    if not is_address or where.query or where.fragment or where.username is not None:
        raise EnvError("Not the address of a server: http://host:port.")
    return value


def integer(lowest: int, highest: int) -> Reader[int]:
    return lambda name: _Environment().int(name, validate=validate.Range(lowest, highest))


def number(lowest: float, highest: float) -> Reader[float]:
    return lambda name: _Environment().float(name, validate=validate.Range(lowest, highest))


def one_of(*words: str) -> Reader[str]:
    return lambda name: _Environment().str(name, validate=validate.OneOf(words))


def switch(*words: str) -> Reader[bool]:
    """Make the reader of a switch. words: `on` and `off`, in the order the error message lists them."""
    read = one_of(*words)
    return lambda name: read(name) == "on"


def origins(name: str) -> tuple[str, ...]:
    """Read the origins of web pages, separated by commas or spaces, or `*` for any."""
    found = tuple(dict.fromkeys(_Environment().str(name).replace(",", " ").lower().split()))
    if "*" in found and len(found) > 1:
        raise EnvError("`*` is every origin: name no other beside it.")
    for origin in found:
        scheme = origin.partition("://")[0]
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise EnvError(f"{origin} is not an origin: scheme://host or scheme://host:port, and nothing behind it.")
        if origin.endswith(_IMPLIED_PORTS.get(scheme, " ")):
            raise EnvError(f"{origin} matches no page: browsers leave this port out of an origin.")
    return found


def pairs(name: str) -> tuple[tuple[str, str], ...]:
    """Read `name=value` pairs, separated by commas."""
    found: dict[str, str] = {}
    for written in _Environment().str(name).split(","):
        key, is_pair, value = (part.strip() for part in written.partition("="))
        if not (key and is_pair and value):
            raise EnvError(f"Not name=value: {written.strip()!r}.")
        if key in found:
            raise EnvError(f"{key} is there twice.")
        found[key] = value
    return tuple(found.items())


def url(name: str) -> str:
    """Read the address of another server."""
    value = _Environment().str(name)
    try:
        where = urlsplit(value)
        good = where.scheme in ("http", "https") and where.hostname is not None and where.port != 0
    except ValueError:
        good = False
    if not good or not value.isascii() or " " in value or where.username is not None:
        raise EnvError("Not an address: http://host/path or https://host/path, without a user's name.")
    return value


def webhook_secret(name: str) -> bytes:
    """Read the secret of a webhook, and return the key that it stands for."""
    written = _Environment().str(name)
    try:
        key = base64.b64decode(written.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not written.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise EnvError("Must be whsec_ and 24 to 64 bytes in base64.")
    return key


def level(unit: str, lowest: float, highest: float) -> Reader[float | None]:
    """Make the reader of a level in decibels; `off` is None."""

    def check(value: str) -> None:
        try:
            fits = value == "off" or lowest <= float(value) <= highest
        except ValueError:
            fits = False
        if not fits:
            raise ValidationError(f"Must be {lowest:g} to {highest:g} ({unit}), or off.")

    def read(name: str) -> float | None:
        value = _Environment().str(name, validate=check)
        return None if value == "off" else float(value)

    return read


def find_links(unknown: list[str]) -> list[str]:
    """Return which of these variables Kubernetes or Docker set for a service or link whose name begins with Monica's.

    For a service called `monica` they are MONICA_SERVICE_HOST, MONICA_PORT=tcp://10.0.0.1:8080 and so on; for one
    called `monica-db` they begin with MONICA_DB_. MONICA_PORT=8080 is not one of them: it was meant to be PORT.
    """
    found = {name: match for name in unknown if (match := _LINK.fullmatch(f"{name}={os.environ[name]}"))}
    prefixes = {match[1] for match in found.values()}
    # Docker also passes on the name and the environment of the container that a link leads to.
    of_containers = tuple(prefix + "ENV_" for prefix in prefixes)
    names = {prefix + "NAME" for prefix in prefixes}
    return [name for name in unknown if name in found or name in names or name.startswith(of_containers)]


def read_key(key: str | None, file: Path | None) -> str | None:
    """Return the API key from the variable or the file. Raises ConfigError; its message does not contain the key."""
    if key is not None and file is not None:
        raise ConfigError("MONICA_API_KEY and MONICA_API_KEY_FILE are both set: one of them has to go.")
    name = "MONICA_API_KEY"
    if file is not None:
        name = f"MONICA_API_KEY_FILE={str(file)!r}"
        try:
            key = file.read_text(encoding="ascii").strip()
        except OSError as error:
            raise ConfigError(f"{name} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError:
            key = ""
    if key is not None and not _KEY.fullmatch(key):
        raise ConfigError(f"{name}: a key is letters, digits and punctuation of ASCII, without spaces.")
    return key


D = TypeVar("D")  # of a default, apart from T: mypy would take a float's reader for wrong if it may also return None


def setting(
    name: str, default: D, read: Reader[T], help: str, *, may_be_empty: bool = False, secret: bool = False
) -> T | D:
    """Declare a field that the environment variable `name` sets.

    help: what the setting is for, as docs/settings.md says it.
    may_be_empty: whether an empty value means None; otherwise it means the default.
    secret: whether to leave the value out of the repr.
    """
    metadata = {"name": name, "read": read, "may_be_empty": may_be_empty, "help": help}
    return field(default=default, metadata=metadata, repr=not secret)


def read_setting(setting: Field[Any]) -> Any:
    """Return the value of a setting, a field of `Settings`. Raises ConfigError."""
    name: str = setting.metadata["name"]
    value = os.environ.get(name)
    if value is None:
        return setting.default
    if not unquote(value).strip():
        # A compose file passes on unset variables as empty ones.
        return None if setting.metadata["may_be_empty"] else setting.default
    try:
        return setting.metadata["read"](name)
    except EnvError as error:
        reason = str(error).partition("invalid: ")[2].strip("[]'\" ") or str(error)
        shown = f"={value!r}" if setting.repr else ""
        raise ConfigError(f"{name}{shown}: {reason}") from (error if setting.repr else None)
