# CUDA comes with the PyTorch wheels: the host needs its driver and the NVIDIA container toolkit, nothing else.
# EXTRA= (empty) builds a small image that speaks with the embedded espeak engine.
FROM python:3.12-slim-bookworm AS build
ARG EXTRA=chatterbox
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv
WORKDIR /app
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-dev --no-install-project ${EXTRA:+--extra ${EXTRA}}
COPY monica monica
COPY wsgi.py gunicorn.conf.py ./
RUN uv sync --locked --no-dev --no-editable ${EXTRA:+--extra ${EXTRA}}

FROM python:3.12-slim-bookworm
RUN useradd --create-home --uid 1000 monica && install -d -o monica /data
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 HF_HOME=/data/hub MONICA_CACHE_DIR=/data/cache
USER monica
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5m \
    CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=2)"
CMD ["gunicorn"]
