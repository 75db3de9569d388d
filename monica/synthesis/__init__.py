"""From a take to its samples: what waits, what runs, and the thread that owns the engine."""
