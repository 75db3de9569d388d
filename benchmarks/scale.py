"""Three nodes behind nginx with a shared store, and three replicas on Ray Serve, while one after the other is killed.

    uv run --extra ray --group dev python -m benchmarks.scale [--answers N]

Real processes: nginx with nginx/cluster.conf, Monicas, a Redis, Ray. Only the engine is a stand-in, whose steps sleep.
Its samples follow from text and seed, so that every answer can be judged. `benchmarks.ray` measures throughput.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import requests

from benchmarks.clients import Client
from benchmarks.hardware import describe_commit, describe_cpu
from benchmarks.ray import CONF
from benchmarks.table import head, row
from benchmarks.trial import Reference, Trial
from monica.store.shared import CLAIM_S
from tests.deployment.nginx.cluster import UNLIMITED, Cluster
from tests.deployment.nginx.site import Site, make_certificate
from tests.store.redis_server import RedisServer
from tests.support.ray_cluster import RayCluster
from tests.support.server import Server
from tests.support.wire import metric, until

STANDIN = {"MONICA_ENGINE": "standin", "GUNICORN_CMD_ARGS": f"--config {CONF}"}
PHRASES = 20
Event = tuple[str, Callable[[], object]]


def takes(cluster: Cluster) -> float:
    return sum(metric(node, "monica_takes_total", outcome="ok") for node in cluster.nodes.values())


def made_once(cluster: Cluster, site: Site, run: str, *, direct: bool) -> str:
    """Ask for new phrases three times at once: through nginx, or each of the nodes itself. Returns the takes made."""
    before, nodes = takes(cluster), list(cluster.nodes.values())
    with ThreadPoolExecutor(3 * PHRASES) as pool:
        phrases = [f"{run}, phrase {number}." for number in range(PHRASES)]
        asked = [
            pool.submit(nodes[place].say if direct else site.say, phrase) for place in range(3) for phrase in phrases
        ]
        assert {each.result().status_code for each in asked} == {200}
    return f"{takes(cluster) - before:.0f} takes"


def heard_elsewhere(cluster: Cluster, redis: RedisServer) -> str:
    """Ask one node for new phrases, then another for the same ones."""
    one, other = (Client(port) for port in cluster.ports[:2])
    phrases = [f"Ailleurs, phrase {number}." for number in range(PHRASES)]
    with redis.client() as store:
        before = len(store.keys("monica:take:*"))
        missed = [one.ask(phrase) for phrase in phrases]
        until(lambda: len(store.keys("monica:take:*")) == before + PHRASES)
    shared, local = [other.ask(phrase) for phrase in phrases], [other.ask(phrase) for phrase in phrases]
    one.close()
    other.close()
    hits = sum(answer.cache == "hit" for answer in shared)
    miss_s, shared_s, local_s = (statistics.median(each.latency for each in some) for some in (missed, shared, local))
    return (
        f"{hits} of {PHRASES} are hits, in {shared_s / local_s:.1f} times the time of a hit on its own disk and "
        f"1/{miss_s / shared_s:.0f} of that of a take"
    )


def holder_killed(cluster: Cluster, redis: RedisServer, reference: Reference) -> str:
    """Kill the node that makes a phrase while another node waits for it."""
    for attempt in itertools.count():
        phrase = f"Essai {attempt}, à vos places."
        began, heard, took = kill_holder(cluster, redis, phrase)
        if began:  # else the take was over before the kill
            right = "the right sound" if heard == reference.sound(phrase) else "A WRONG SOUND"
            return f"{right}, {took / CLAIM_S:.1f} times the claim's time after the kill"
    raise AssertionError("the loop has no end")


def kill_holder(cluster: Cluster, redis: RedisServer, phrase: str) -> tuple[bool, bytes, float]:
    """Ask one node, then another, and kill the first.

    Returns whether that broke off its answer, the other's answer, and how many seconds after the kill it came.
    """
    holder, other = cluster.ports[0], cluster.nodes[cluster.ports[1]]

    def taken() -> float:
        return metric(other, "monica_shared_store_operations_total", operation="claim", result="taken")

    before = taken()
    with ThreadPoolExecutor(2) as pool, redis.client() as store:
        making = pool.submit(cluster.nodes[holder].say, phrase)
        until(lambda: bool(store.keys("monica:making:*")))
        waiting = pool.submit(other.say, phrase)
        until(lambda: making.done() or taken() > before)
        cluster.kill(holder)
        killed = time.monotonic()
        heard = waiting.result().content
        took = time.monotonic() - killed
    cluster.restart(holder)
    return isinstance(making.exception(), requests.ConnectionError), heard, took


def run(trial: Trial, answers: int, events: list[Event]) -> None:
    """Print what becomes of the answers while one thing happens after the other."""
    head("what happens under load", "answers", "right", "wrong", "503", "others")
    with trial:
        for name, event in events:
            row(name, *trial.during(answers, event).cells())


def try_nodes(folder: Path, reference: Reference, answers: int) -> None:
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder))
        cluster = Cluster(folder, stack, STANDIN | {"MONICA_SHARED_STORE": redis.url})
        make_certificate(folder)
        (folder / "site").mkdir()
        site = stack.enter_context(Site(folder / "site", folder, cluster.ports, UNLIMITED))
        head("three nodes, nginx, a shared store", "")
        times = f"{PHRASES} new phrases, each asked for three times at once"
        row(f"{times}, through nginx", made_once(cluster, site, "Devant", direct=False))
        row(f"{times}, once at each node", made_once(cluster, site, "Derrière", direct=True))
        row(f"{PHRASES} phrases that one node has made, at another", heard_elsewhere(cluster, redis))
        row("the node that makes a phrase is killed, another waits for it", holder_killed(cluster, redis, reference))
        sys.stdout.write("\n")
        _, second, third = cluster.ports
        events: list[Event] = [
            ("nothing", lambda: None),
            ("`kill -9` of a node", lambda: cluster.kill(second)),
            ("it is started again", lambda: cluster.restart(second)),
            ("SIGTERM to a node", lambda: cluster.drain(third)),
            ("it is started again", lambda: cluster.restart(third)),
            ("the store hangs", redis.hang),
            ("it goes on", redis.go_on),
            ("`kill -9` of the store", redis.kill),
            ("and of a node", lambda: cluster.kill(second)),
        ]
        run(Trial(f"{site.url}/blabla", site.session, reference), answers, events)


def try_ray(folder: Path, reference: Reference, answers: int) -> None:
    with RayCluster(folder, 3, "benchmarks.ray_replica:app", "standin") as ray:
        settings = ray.settings | {"MONICA_CACHE_DIR": str(folder / "front"), "MONICA_DEADLINE_S": "120"}
        with Server(folder, settings) as front:
            front.wait_ready(120)
            kept = "La table finale va commencer."
            front.say(kept)

            def kill_replica() -> None:
                ray.replicas()[0].kill()

            def is_ready() -> bool:
                return requests.get(f"{front.url}/health", timeout=60).status_code == 200

            def kill_ray() -> None:
                for process in ray.processes():
                    with suppress(psutil.NoSuchProcess):  # some end with those before them
                        process.kill()

            def kill_front() -> None:
                (worker,) = psutil.Process(front.process.pid).children()
                worker.kill()

            events: list[Event] = [
                ("nothing", lambda: None),
                ("`kill -9` of a replica", kill_replica),
                ("Serve starts another", lambda: until(lambda: len(ray.replicas()) == 3, 120)),
                ("`kill -9` of the front's worker", kill_front),
                ("it is ready again", lambda: until(is_ready, 120)),
                ("`kill -9` of all of Ray", kill_ray),
            ]
            run(Trial(f"{front.url}/blabla", requests.Session, reference), answers, events)
            heard = front.say(kept)
            sys.stdout.write(
                f"\nA kept phrase without Ray: {heard.status_code} {heard.headers.get('X-Monica-Cache')}\n"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--answers", type=int, default=100, help="how many answers to judge after each event")
    options = parser.parse_args()
    sys.stdout.write(f"\nAt {describe_commit()}, stand-in engine, on {describe_cpu()}, which is shared\n\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("nodes", "ray"):
            (folder / part).mkdir()
        reference = Reference(folder)
        try_nodes(folder / "nodes", reference, options.answers)
        sys.stdout.write("\nThree replicas on Ray Serve, one front\n\n")
        try_ray(folder / "ray", reference, options.answers)
        reference.close()


if __name__ == "__main__":
    main()
