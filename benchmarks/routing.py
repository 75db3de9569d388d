"""Simulates which share of requests needs no take, by how nginx chooses a node, and what a lost node costs.

    python -m benchmarks.routing [--nodes N] [--phrases N] [--zipf S] [--new SHARE] [--requests N]

The same requests, drawn from a seed, go to each fleet. `benchmarks/fleet.py` says what is simulated and what is not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.fleet import Count, Fleet, Routing, World, requests
from benchmarks.rates import OTHERS, WAV_BYTES
from benchmarks.table import head, row
from monica.config import Settings

SHARED_BYTES = 64e9
"""Memory of the shared store."""
WINDOW = 10_000
"""Requests that are looked at before and after a node is lost."""
LATER = 10 * WINDOW
LEAST = 2 * (LATER + 2 * WINDOW)
FLEETS = (
    (Routing.LEAST_CONN, False),
    (Routing.LEAST_CONN, True),
    (Routing.HASH, False),
    (Routing.HASH, True),
)


def measure(fleet: Fleet, asked: Sequence[int]) -> tuple[Count, float, list[Count]]:
    """Fill a fleet with the first half of the requests, count the second, and lose a node before its last part.

    Returns the count, the copies of a phrase, and the counts right before the loss, right after it, and later.
    """
    half, lost = len(asked) // 2, len(asked) - LATER - WINDOW
    fleet.ask(asked[:half])
    count, copies = fleet.ask(asked[half : lost - WINDOW]), fleet.copies()
    parts = [fleet.ask(asked[lost - WINDOW : lost])]
    fleet.lose(0)
    parts.append(fleet.ask(asked[lost : lost + WINDOW]))
    fleet.ask(asked[lost + WINDOW : lost + LATER])
    parts.append(fleet.ask(asked[lost + LATER :]))
    return count, copies, parts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--phrases", type=int, default=1_000_000, help="phrases that are asked for more than once")
    parser.add_argument(
        "--zipf", type=float, default=1.0, help="exponent: how much more the popular ones are asked for"
    )
    parser.add_argument("--new", type=float, default=0.02, help="share of requests for a phrase never said before")
    parser.add_argument("--requests", type=int, default=2_000_000, help=f"more than {LEAST}")
    options = parser.parse_args()
    if options.requests <= LEAST:
        parser.error(f"--requests must be more than {LEAST}")
    room = Settings().cache_mb * 2**20 // WAV_BYTES
    asked = requests(World(options.phrases, options.zipf, options.new), options.requests)
    sys.stdout.write(
        f"\nSimulated: {options.requests} requests for {options.phrases} phrases, Zipf {options.zipf:g}, "
        f"{options.new:.0%} new; {options.nodes} nodes that keep {room} phrases each (MONICA_CACHE_MB), "
        f"a shared store of {SHARED_BYTES / 1e9:.0f} GB\n\n"
    )
    results = []
    for routing, is_shared in FLEETS:
        fleet = Fleet(options.nodes, room, routing, int(SHARED_BYTES / WAV_BYTES) if is_shared else 0)
        name = routing.value + (" and a shared store" if is_shared else "")
        results.append((name, *measure(fleet, asked)))
    head(
        "routing", "needs no take", "takes of 1000 requests", "GPU-seconds for them, modelled", "read from the store",
        "nodes that keep a phrase", "takes of the busiest node, over the average",
    )  # fmt: skip
    for name, count, copies, _ in results:
        row(
            name, f"{1 - count.takes / 1000:.1%}", f"{count.takes:.0f}", f"{OTHERS.gpu_seconds(count.takes):.1f}",
            f"{count.reads:.0f}", f"{copies:.2f}", f"{count.busiest:.2f}",
        )  # fmt: skip
    sys.stdout.write(f"\nGPU-seconds at the rate of {OTHERS.name}: {OTHERS.source}.\n")
    sys.stdout.write(f"\nA node is lost, with what it kept: takes of 1000 requests, in {WINDOW} requests each\n\n")
    head("routing", "before", "right after", f"{LATER} requests later")
    for name, _, _, parts in results:
        row(name, *(f"{part.takes:.0f}" for part in parts))


if __name__ == "__main__":
    main()
