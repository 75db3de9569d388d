# Monica for linux/amd64 and linux/arm64. CUDA comes with PyTorch's wheels: the host needs its driver and the NVIDIA
# container toolkit, nothing else.
#
#   docker build -t monica .                               the cloned voice, on a GPU
#   docker build -t monica --build-arg CHECKPOINT=main .   the same with the checkpoint in it, to start without a network
#   docker build -t monica:slim --target slim .            only the embedded voices, without torch
#   docker build -t monica:piper --target slim --build-arg EXTRA=piper .   the same with Piper (docs/piper.md)
#   docker build -t monica:ray --build-arg EXTRA=ray .     the cloned voice, as a replica on Ray (docs/ray.md)
#
# The root file system may be read-only (docker run --read-only --tmpfs /tmp). Only /data is written to.

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 tini \
    && rm -rf /var/lib/apt/lists/*

FROM base AS uv
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/uv && /opt/uv/bin/pip install --disable-pip-version-check uv==0.13.9
ENV PATH=/opt/uv/bin:$PATH UV_PYTHON=/usr/bin/python3 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /app
COPY pyproject.toml uv.lock ./

# Packages come first, because they change less often than Monica; from wheels only, because there is no compiler here.
# Monica herself is built without the cache: while pyproject.toml is unchanged, uv would take her last wheel from it.
FROM uv AS build-slim
ARG EXTRA=
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-build --no-install-project --extra redis ${EXTRA:+--extra "$EXTRA"}
COPY README.md LICENSE ./
COPY monica monica
RUN uv sync --locked --no-editable --no-cache --extra redis ${EXTRA:+--extra "$EXTRA"}

FROM uv AS build
ARG EXTRA=
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-build --no-install-project --extra redis --extra chatterbox ${EXTRA:+--extra "$EXTRA"}
COPY README.md LICENSE ./
COPY monica monica
RUN uv sync --locked --no-editable --no-cache --extra redis --extra chatterbox ${EXTRA:+--extra "$EXTRA"}

FROM build AS checkpoint
# The revision of the checkpoint to put into the image. If empty, it is downloaded into /data/hub at the first start.
ARG CHECKPOINT=
# A mirror of the hub.
ARG HF_ENDPOINT
RUN mkdir /model \
    && if [ -n "$CHECKPOINT" ]; then \
        HF_HOME=/hub MONICA_MODEL_REVISION="$CHECKPOINT" .venv/bin/monica prefetch \
        && cp --dereference /hub/hub/models--*/snapshots/*/* /model/; \
    fi

FROM base AS runtime
LABEL org.opencontainers.image.title="Monica" \
    org.opencontainers.image.description="Text-to-speech server for live announcements" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="MIT AND CC-BY-SA-4.0"
RUN useradd --uid 1000 --home-dir /tmp --no-create-home monica \
    && install --directory --owner monica --group monica /data/hub /data/cache
WORKDIR /app
COPY wsgi.py gunicorn.conf.py ./
# HOME is where a read-only container can write, for what libraries keep there, such as numba's compiled functions.
ENV PATH=/app/.venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 HF_HOME=/data/hub MONICA_CACHE_DIR=/data/cache
VOLUME ["/data/hub", "/data/cache"]
EXPOSE 8080
USER 1000:1000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10m CMD ["python", "-ISc", "import http.client, os, sys; \
    monica = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8080), timeout=4); \
    monica.request('GET', '/health'); \
    sys.exit(monica.getresponse().status != 200)"]
ENTRYPOINT ["tini", "--"]
CMD ["gunicorn"]

FROM runtime AS slim
# Without Chatterbox, `auto` must not choose it where there is a GPU.
ENV MONICA_DEVICE=cpu
COPY --from=build-slim /app/.venv .venv

FROM runtime AS monica
ARG CHECKPOINT=
ENV MONICA_MODEL_DIR=${CHECKPOINT:+/model} NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build /app/.venv .venv
COPY --from=checkpoint /model /model
