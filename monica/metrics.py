"""All Prometheus collectors. Label values never contain text, paths or anything else that a caller chose, but for the
names of voices."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series, and nothing reads them

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

request_duration = Histogram(
    "monica_request_duration_seconds",
    "Time to answer an HTTP request.",
    ["endpoint", "status"],
    buckets=SECONDS,
)
time_to_first_audio = Histogram(
    "monica_time_to_first_audio_seconds",
    "Time from a request for speech to its first byte of sound.",
    buckets=SECONDS,
)
speech_duration = Histogram(
    "monica_speech_duration_seconds",
    "Time from a request for speech to the start of its answer, by source of the sound (hit, miss, joined).",
    ["cache"],
    buckets=SECONDS,
)
queue_wait = Histogram(
    "monica_queue_wait_seconds",
    "Time a take waited before the engine started it.",
    ["lane"],
    buckets=SECONDS,
)
stage_duration = Histogram(
    "monica_stage_duration_seconds",
    "Time spent in a stage of synthesis: conditionals, t3, s3gen, watermark, espeak, pico, piper, finish, encode.",
    ["stage"],
    buckets=SECONDS,
)
real_time_factor = Histogram(
    "monica_real_time_factor",
    "Synthesis time of a take divided by its duration; below 1 is faster than real time.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 50.0),
)
cache_lookups = Counter(
    "monica_cache_lookups_total",
    "Cache look-ups by cache (takes, conditionals, encodings) and result (hit, miss, corrupt).",
    ["cache", "result"],
)
cache_write_failures = Counter("monica_cache_write_failures_total", "Entries that a cache could not write.", ["cache"])
cache_unwritable = Gauge(
    "monica_cache_unwritable", "1 while a cache cannot be written (a full disk), else 0.", ["cache"]
)
cache_evictions = Counter("monica_cache_evictions_total", "Entries evicted from a cache to make room.", ["cache"])
cache_bytes = Gauge("monica_cache_bytes", "Bytes on disk used by the cache of takes.")
shared_store_up = Gauge("monica_shared_store_up", "1 while the shared store is used, else 0; 0 if there is none.")
shared_store_operations = Counter(
    "monica_shared_store_operations_total",
    "What was done with the shared store, by operation (read, claim, write, change) and result (hit, miss, corrupt, "
    "ok, taken, dropped, skipped, refused, failed).",
    ["operation", "result"],
)
takes = Counter(
    "monica_takes_total",
    "Takes by outcome: ok, suspect (served with a fault, not kept), remade (bad, and made again), failed, invalid, "
    "deadline, abandoned, refused.",
    ["outcome"],
)
takes_examined = Counter("monica_takes_examined_total", "Takes that were examined for faults, by voice.", ["voice"])
take_faults = Counter(
    "monica_take_faults_total",
    "Faults found in takes, by voice and fault. A take may have several, and be made again without them.",
    ["voice", "fault"],
)
takes_heard = Counter(
    "monica_takes_heard_total",
    "Takes that jobs listened to, by voice and verdict (good, doubtful, wrong).",
    ["voice", "verdict"],
)
takes_remade_by_listening = Counter(
    "monica_takes_remade_by_listening_total",
    "Takes that jobs made again because of what was heard, by voice.",
    ["voice"],
)
takes_under_way = Gauge("monica_takes_under_way", "Takes the engine has started, including paused ones.")
requests_served = Counter(
    "monica_requests_served_total",
    "Requests for speech answered, by lane (live, background) and cache (hit, miss, joined), except by the embedded "
    "voice.",
    ["lane", "cache"],
)
warm_phrases = Gauge(
    "monica_warm_phrases",
    "Phrases of the running job by state (cached, made, failed, left); 0 if none is running.",
    ["state"],
)
fallbacks = Counter(
    "monica_fallbacks_total",
    "Requests answered by the embedded voice instead of an error, by the code of that error.",
    ["code"],
)
announcements = Counter(
    "monica_announcements_total",
    "Announcements for the room by how they ended: done, stopped, dropped, expired, failed.",
    ["outcome"],
)
announcements_waiting = Gauge("monica_announcements_waiting", "Announcements that wait to go on air.")
speakers = Gauge("monica_speakers", "Speakers that are connected.")
queue_depth = Gauge("monica_queue_depth", "Takes waiting for the engine.", ["lane"])
ready = Gauge("monica_ready", "1 if the engine is ready to speak, else 0.")
model_load_seconds = Gauge(
    "monica_model_load_seconds", "Duration of the last model load, including conditionals and warm-up."
)

# The gauges below are set by monica.api.metrics on each scrape.
status = Gauge(
    "monica_status",
    "1 for the status in /health (loading, ok, degraded, failed, stopping), else 0.",
    ["status"],
)
engine = Gauge("monica_engine", "1 for the engine in use, else 0.", ["engine"])
failures_in_a_row = Gauge("monica_failures_in_a_row", "Consecutive takes that failed.")
last_success = Gauge(
    "monica_last_success_timestamp_seconds",
    "Unix time at which a take last succeeded; 0 if none has since the start.",
)
phrases_heard = Gauge(
    "monica_phrases_heard",
    "Kept phrases that were listened to, by verdict: good, doubtful, wrong, or accepted by a person (a false alarm).",
    ["verdict"],
)
queue_limit = Gauge("monica_queue_limit", "Maximum number of takes waiting for the engine, both lanes together.")
cache_limit = Gauge("monica_cache_limit_bytes", "Maximum bytes on disk for the cache of takes.")
disk_free = Gauge("monica_disk_free_bytes", "Free bytes on the file system of the cache.")
disk_size = Gauge("monica_disk_size_bytes", "Total bytes of the file system of the cache.")
