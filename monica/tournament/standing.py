"""Where a tournament is, and what of it has been said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from monica.tournament.plan import Plan
from monica.tournament.timing import Timing


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the tournament is. Replaced as a whole, so that it can be read without a lock."""

    plan: Plan
    timing: Timing
    next_mark: int = 0
    """The index of the first mark that is not over."""
    takes: tuple[tuple[int, int], ...] = ()
    """For each mark that the clock has been moved back over, how often: then it is said again."""

    def cue_id(self, mark: int) -> str:
        """Return the id of the announcement of a mark. The same after a restart, so that nothing is said twice."""
        return f"clock-{self.plan.id}-{mark}-{dict(self.takes).get(mark, 0)}"

    def as_dict(self, position: float) -> dict[str, Any]:
        """Return what the clock shows at a position, as JSON."""
        plan = self.plan
        level = plan.level_at(position)
        state = "running" if self.timing.running else "paused"
        return {
            "state": "over" if position >= plan.starts[-1] else state,
            "levels": len(plan.levels),
            "level": level + 1,
            "name": plan.levels[level].name,
            "text": plan.levels[level].text,
            "next_text": plan.levels[level + 1].text if level + 1 < len(plan.levels) else None,
            "elapsed_s": position - plan.starts[level],
            "left_s": max(0.0, plan.starts[level + 1] - position),
        }

    def as_json(self) -> str:
        """Return it for the disk."""
        timing = self.timing
        return json.dumps(
            {
                "plan": self.plan.as_dict(),
                "timing": [timing.position_s, timing.running, timing.steady, timing.now, timing.boot],
                "next_mark": self.next_mark,
                "takes": self.takes,
            }
        )

    @classmethod
    def from_json(cls, written: str) -> Standing:
        """Return what `as_json` was made of. Raises TypeError, ValueError or KeyError if it is anything else."""
        found = json.loads(written)
        takes = tuple((int(mark), int(count)) for mark, count in found["takes"])
        return cls(Plan.from_dict(found["plan"]), Timing(*found["timing"]), int(found["next_mark"]), takes)
