"""The replica that `benchmarks.ray` deploys: the stand-in engine."""

from __future__ import annotations

from ray import serve

from benchmarks import standin
from monica.replica.deployment import Replica

standin.install()


class StandInReplica(Replica):
    """Defined here, so that this module is imported where it runs."""


app = serve.deployment(StandInReplica)
