"""The replica that tests deploy: espeak-ng with the faults of tests/support/faulty. Each replica imports it."""

from __future__ import annotations

from ray import serve

from monica.replica.deployment import Replica
from tests.support.faulty import engine

engine.install()


class FaultyReplica(Replica):
    """Defined here, so that this module is imported where it runs."""


app = serve.deployment(FaultyReplica)
