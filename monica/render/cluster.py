"""Studios as actors of Ray. The only module of a render that knows Ray.

Ray's core, and not Ray Data: the checkpoint is the keys in the bundles, which the driver has anyway, and a studio that
is lost is started again by whoever feeds it. Ray Data would add pyarrow, a checkpoint of its own, and blocks of phrases
of which all are made again if one is lost.
"""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Self

import ray
from ray.exceptions import RayError

from monica import __version__
from monica.config import Settings
from monica.errors import ConfigError
from monica.render.rendering import StudioLost, StudioRefused
from monica.render.studio import Opened, Rendered, Studio
from monica.warming.book import Phrase
from monica.warming.job import Failure

THREADS = 64
"""Threads of a studio, in which phrases wait for the engine."""


class Cluster:
    """A Ray to render in. address: host:port of its head, or `local` to start one on this machine for the meantime.

    The settings are those of the studios too; their paths are the same on every machine. Raises ConfigError if there is
    no Ray there, or its token or version is another.
    """

    def __init__(self, address: str, settings: Settings, listen: bool | None) -> None:
        self._settings = _for_studios(settings)
        self._listen = listen
        self._first: Opened | None = None
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (RayError, ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(f"There is no Ray to use at {address}: {_told(error)}") from error
        self._gpus = int(ray.cluster_resources().get("GPU", 0))
        self._nodes = sum(node["Alive"] for node in ray.nodes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        ray.shutdown()  # which ends the studios

    @property
    def studios(self) -> int:
        """How many studios it has room for: one a GPU, or one a node if there are none."""
        return self._gpus or self._nodes

    async def hire(self) -> ActorStudio:
        """Start a studio, and wait until it is ready: for ever, if the cluster has no room. Raises StudioRefused."""
        options = {"num_cpus": 1, "num_gpus": 1 if self._gpus else 0, "max_concurrency": THREADS}
        actor = ray.remote(Studio).options(**options).remote(self._settings, __version__, self._listen)
        opened: Opened | str = "it was not waited for"
        try:
            opened = await actor.open.remote()
            if isinstance(opened, Opened):
                opened = self._compare(opened)
        except RayError as error:
            opened = _told(error)
        finally:
            if isinstance(opened, str):
                ray.kill(actor)
        if isinstance(opened, str):
            raise StudioRefused(opened)
        return ActorStudio(actor, opened)

    def _compare(self, opened: Opened) -> Opened | str:
        """Return why a studio would not make the takes of the first one."""
        self._first = first = self._first or opened
        if opened.identity != first.identity:
            return f"it has {opened.identity.fingerprint}, the first {first.identity.fingerprint}, or another voice"
        if opened.listens != first.listens:
            return "one of it and the first can listen, and the other cannot: install the recogniser, or --no-listen"
        return opened


class ActorStudio:
    """A studio in an actor."""

    def __init__(self, actor: Any, opened: Opened) -> None:
        self._actor = actor
        self.opened = replace(opened, slots=min(opened.slots, THREADS // 2))

    async def keys(self, phrases: list[Phrase]) -> list[str | Failure]:
        keys: list[str | Failure] = await self._ask(self._actor.keys, phrases)
        return keys

    async def make(self, phrase: Phrase) -> Rendered | Failure:
        made: Rendered | Failure = await self._ask(self._actor.make, phrase)
        return made

    def dismiss(self) -> None:
        ray.kill(self._actor)

    async def _ask(self, method: Any, *args: Any) -> Any:
        try:
            return await method.remote(*args)
        except RayError as error:
            raise StudioLost(_told(error)) from error


def _for_studios(settings: Settings) -> Settings:
    """Return the settings as studios need them: in another folder; they answer no one, and share nothing."""
    paths: dict[str, Any] = {
        f.name: path.absolute() for f in fields(settings) if isinstance(path := getattr(settings, f.name), Path)
    }
    return replace(settings, **paths, api_key=None, webhook_secret=None, shared_store=None)


def _told(error: BaseException) -> str:
    """Return the line that says what is wrong: the first, or the last of a traceback."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1 if any(line.startswith("Traceback") for line in lines) else 0].strip()
