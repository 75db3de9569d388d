# Every target finds uv, or brings it from the package index into .uv/; nothing else is needed but Python and a network.

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)

# Chatterbox weighs gigabytes: it is installed where there is an accelerator to run it on.
HAS_ACCELERATOR := $(shell command -v nvidia-smi 2>/dev/null || uname -sm | grep -x 'Darwin arm64')
EXTRA ?= $(if $(HAS_ACCELERATOR),chatterbox)
EXTRAS = $(if $(EXTRA),--extra $(EXTRA))
DEV = --locked --extra chatterbox --group dev

.PHONY: run install test lint format bench bench-engine bench-load bench-endurance bench-warm bench-stream image-test test-engine test-service

run: $(UV)
	$(UV) run --locked $(EXTRAS) gunicorn

install: $(UV)
	$(UV) sync --locked $(EXTRAS)

# Those of Chatterbox beside the others: each half takes about eight minutes.
test: $(UV)
	$(UV) sync --quiet $(DEV)
	$(MAKE) --jobs 2 --keep-going test-engine test-service

test-engine:
	$(UV) run --no-sync pytest tests/engine/chatterbox

test-service:
	$(UV) run --no-sync pytest --ignore tests/engine/chatterbox

lint: $(UV)
	$(UV) run $(DEV) ruff check
	$(UV) run $(DEV) ruff format --check
	$(UV) run $(DEV) mypy

format: $(UV)
	$(UV) run $(DEV) ruff check --fix
	$(UV) run $(DEV) ruff format

bench: $(UV)
	$(UV) run $(DEV) python -m benchmarks.http
	$(UV) run $(DEV) python -m benchmarks.start
	$(UV) run $(DEV) python -m benchmarks.text
	$(UV) run $(DEV) python -m benchmarks.loading
	$(UV) run $(DEV) python -m benchmarks.cache

# Half an hour on two cores: upstream is in it.
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

# As root, with Debian's debootstrap, buildah, podman, runc. IMAGES=slim leaves out the one with torch, which is large.
IMAGES ?= slim monica
IMAGE_STORE ?= /var/tmp/monica-image-test

image-test: $(UV)
	image/build.sh $(IMAGE_STORE) $(IMAGES)
	IMAGE_STORE=$(IMAGE_STORE) IMAGE_TARGETS="$(IMAGES)" $(UV) run --locked --inexact --group dev pytest image

.uv/bin/uv:
	python3 -m venv .uv || { echo "Monica needs Python's venv module (on Debian: apt install python3-venv)" >&2; exit 1; }
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv
