"""Every Prometheus collector of Monica. A label never holds text, a path or anything a caller chose."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that nobody reads

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
    "Time from a request for speech to the first of its answer, by whence the sound came (hit, miss, joined).",
    ["cache"],
    buckets=SECONDS,
)
queue_wait = Histogram(
    "monica_queue_wait_seconds",
    "Time a take waited before the engine began it.",
    ["lane"],
    buckets=SECONDS,
)
stage_duration = Histogram(
    "monica_stage_duration_seconds",
    "Time spent in a stage of making sound: conditionals, t3, s3gen, watermark, espeak, encode.",
    ["stage"],
    buckets=SECONDS,
)
real_time_factor = Histogram(
    "monica_real_time_factor",
    "Synthesis seconds over audio seconds of a take; below 1 is faster than real time.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 50.0),
)
cache_lookups = Counter(
    "monica_cache_lookups_total",
    "Look-ups in a cache (takes, conditionals) by result (hit, miss, corrupt).",
    ["cache", "result"],
)
cache_write_failures = Counter("monica_cache_write_failures_total", "Entries a cache could not keep.", ["cache"])
cache_evictions = Counter("monica_cache_evictions_total", "Entries that went from a cache to make room.", ["cache"])
cache_bytes = Gauge("monica_cache_bytes", "Bytes on disk in the cache of takes.")
takes = Counter(
    "monica_takes_total",
    "Takes by how they ended: ok, suspect (served with a fault, not kept), remade (bad, and made again), failed, "
    "invalid, deadline, abandoned, refused.",
    ["outcome"],
)
takes_under_way = Gauge("monica_takes_under_way", "Takes the engine has begun, those set aside included.")
requests_served = Counter(
    "monica_requests_served_total",
    "Sentences answered by lane (live, background) and cache (hit, miss, joined); not those of the embedded voice.",
    ["lane", "cache"],
)
warm_phrases = Gauge(
    "monica_warm_phrases",
    "Phrases of the job that runs, by state (cached, made, failed, left); 0 where none runs.",
    ["state"],
)
fallbacks = Counter(
    "monica_fallbacks_total",
    "Requests answered by the embedded voice because the engine did not, by the error they would have had.",
    ["code"],
)
queue_depth = Gauge("monica_queue_depth", "Takes that wait for the engine.", ["lane"])
ready = Gauge("monica_ready", "1 when the engine is ready to speak, else 0.")
model_load_seconds = Gauge(
    "monica_model_load_seconds", "Seconds the last load took, conditionals and warm-up included."
)

# Those from here on are set when they are asked for, by monica.api.metrics.
status = Gauge("monica_status", "1 for the status that /health has (loading, ok, degraded, ...), else 0.", ["status"])
engine = Gauge("monica_engine", "1 for the engine that speaks here, else 0.", ["engine"])
failures_in_a_row = Gauge("monica_failures_in_a_row", "Takes that failed since one has ended well.")
last_success = Gauge(
    "monica_last_success_timestamp_seconds",
    "When a take last ended well, in seconds since the epoch; 0 where none has since the start.",
)
queue_limit = Gauge("monica_queue_limit", "Takes that may wait for the engine, both lanes together.")
cache_limit = Gauge("monica_cache_limit_bytes", "Bytes on disk that the cache of takes may have.")
disk_free = Gauge("monica_disk_free_bytes", "Bytes that are free where the cache is.")
disk_size = Gauge("monica_disk_size_bytes", "Bytes of the file system where the cache is.")
