"""The engines Monica can speak with. Only this file and an engine's own module name one.

The registry lists the module of each engine's spec, not the spec itself, and imports that module when the spec is
asked for. So the settings, which check MONICA_ENGINE against the names, depend on no engine, and a process that does
not use torch never imports it.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from monica.engine import Engine
from monica.errors import ConfigError

if TYPE_CHECKING:
    from monica.config import Settings
    from monica.engine.acceptance import Acceptance

LAST_RESORT = "espeak"
"""The engine that speaks every language on every machine, and needs neither an accelerator nor a download."""
EMBEDDED = ("piper", "pico", LAST_RESORT)
"""The engines that need no accelerator, the best first. `auto` chooses among them if there is none, and they are those
that MONICA_FALLBACK lets stand in."""

ENGINES = {
    "chatterbox": "monica.engine.chatterbox.spec",
    "piper": "monica.engine.piper.spec",
    "pico": "monica.engine.pico.spec",
    LAST_RESORT: "monica.engine.espeak",
    "ray": "monica.engine.ray.spec",
}
"""Name to module; the module's `SPEC` is an EngineSpec. An engine added from outside must be here before the
application is imported and the settings are read, for both take the names from here."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check by `monica doctor`."""

    name: str
    ok: bool
    detail: str
    advice: str = ""
    """What to do about it, if it is not `ok`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """Everything the service knows about an engine before there is one."""

    name: str
    title: str
    """Its name in messages to people."""
    make: Callable[[Settings], Engine]
    """Makes the engine, not yet loaded. Imports nothing heavy: that is for `Engine.load`, in the loader's thread."""
    examine: Callable[[Settings], Iterator[Finding]]
    """Checks what the engine needs, for `monica doctor`. Reports what is wrong instead of raising it."""
    work_per_sound: Mapping[str, float]
    """Seconds of work for a second of sound by device, with all slots busy: a guess for what has not been measured yet.
    The first stands for a device that is not listed."""
    prefetch: Callable[[Settings], str] | None = None
    """Downloads what the engine needs and returns a sentence that says where it is; None if there is nothing to
    download. Raises ConfigError or ModelUnavailable."""
    acceptance: Callable[[], Acceptance] | None = None
    """Returns what `monica accept` examines of this engine; None if there is nothing. May import what is heavy."""
    accelerators: frozenset[str] = frozenset()
    """The accelerators (`cuda`, `mps`) that make MONICA_ENGINE=auto choose it."""
    parameters: frozenset[str] = frozenset()
    """The fields of SynthesisParams that it honours; the others change nothing."""
    settings: frozenset[str] = frozenset()
    """The environment variables that no other part of Monica reads."""
    check_ipa: Callable[[str], None] | None = None
    """For an engine that speaks phonemes: raises ValueError if it cannot say these words in IPA, with a message that
    names the symbol. None if the engine reads letters only."""
    why_not: Callable[[Settings], str | None] = lambda settings: None
    """Tells why an embedded engine cannot speak with these settings, in words that follow its name; None if it can."""
    installed: Callable[[], bool] = lambda: True
    """Tells whether the packages it needs are installed, without importing them."""
    install_command: str = "make install"

    def require_installed(self, why: str) -> None:
        """Raise ConfigError if the engine is not installed. why: who needs it."""
        if not self.installed():
            raise ConfigError(
                f"{self.title} is not installed ({why}); install it with: {self.install_command}, "
                f"or set MONICA_ENGINE={LAST_RESORT}."
            )


def engine_names() -> tuple[str, ...]:
    """Return the values of MONICA_ENGINE, but for `auto`."""
    return tuple(ENGINES)


def engine_spec(name: str) -> EngineSpec:
    """Return the spec of the engine called `name`. Raises KeyError if there is none."""
    spec: EngineSpec = _module(ENGINES[name]).SPEC
    return spec


@functools.cache  # every phoneme of the lexicon is checked by its engine
def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def engine_specs() -> Iterator[EngineSpec]:
    """Yield the spec of every engine, in the registry's order."""
    return map(engine_spec, engine_names())
