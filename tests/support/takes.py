"""Takes and their recipes, for the tests of what schedules and renders them."""

from __future__ import annotations

from monica.engine import SynthesisParams
from monica.service import Service
from monica.store.recipe import Recipe
from monica.synthesis.take import Take, Waiter
from monica.warming.warmer import Warmer


def recipe_of(text: str, seed: int | None = 0) -> Recipe:
    return Recipe(
        text=text,
        said=text,
        engine="toy",
        fingerprint="toy 1",
        voice="monica",
        voice_digest="monica",
        params=SynthesisParams(),
        seed=seed,
        audio="1",
    )


def new_take(text: str, *waiters: Waiter, seed: int = 7, stream: bool = False) -> Take:
    return Take(recipe_of(text, seed), seed, waiters, stream)


def new_warmer(service: Service) -> Warmer:
    """Return another warmer on the same parts, as a restart would make it."""
    return Warmer(
        service.settings, service.announcer, service.frontend, service.catalogue, service.health, service.listening
    )
