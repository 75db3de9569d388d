"""How gunicorn runs Monica: one worker, which alone uses the GPU and loads the model in the background."""

import gc
import logging
import math
import os
import sys

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from monica import __version__, logs
from monica.address import bind_address
from monica.config import Settings
from monica.errors import ConfigError
from monica.serving import gunicorn_patches
from monica.serving.arenas import limit_arenas
from monica.serving.descriptors import connections_for
from monica.serving.logger import Logger
from monica.serving.process_exit import exit_for_good, exit_for_restart
from monica.serving.worker import DrainingWorker

logger = logging.getLogger("monica")
gunicorn_patches.install()
limit_arenas()

try:
    settings = Settings.from_env()
    bind = bind_address(settings.host, settings.port)
except ConfigError as error:
    sys.exit(f"Monica cannot start: {error}")

wsgi_app = "wsgi:app"
workers = 1
worker_class = DrainingWorker
# queue_size threads may block on synthesis; the rest stay free for cache hits and health checks.
threads = settings.threads + settings.queue_size
# Beyond this, idle connections are closed, the oldest first.
worker_connections = connections_for(threads)
# Longer than nginx keeps its upstream connections, so that Monica never closes one while nginx sends a request on it.
keepalive = 75
# The last take admitted may use its whole deadline.
graceful_timeout = math.ceil(settings.deadline_s) + 5
# Importing torch can hold the interpreter lock for many seconds, during which the worker sends no heartbeat.
timeout = 120
control_socket_disable = True
logger_class = Logger
logconfig_dict = logs.config(settings.log_level)


def nworkers_changed(server: Arbiter, wanted: int, before: int | None) -> None:
    """Refuse to start with any number of workers but one; while Monica runs, stay at one (SIGTTIN asks for more)."""
    # gunicorn forgets WEB_CONCURRENCY, its default for `workers`, once this file sets `workers`.
    asked = os.environ.get("WEB_CONCURRENCY", "1") if wanted == 1 else str(wanted)
    if before is None and asked.strip() != "1":
        sys.exit(
            "Monica cannot start: exactly one worker owns the GPU and the cache, "
            f"but --workers, GUNICORN_CMD_ARGS or WEB_CONCURRENCY asks for {asked}."
        )
    if wanted > 1:
        logger.warning("Monica stays at one worker, which owns the GPU and the cache.")
        server.num_workers = 1


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Start the service. The worker answers at once, and reports that it is loading until the model is ready."""
    # None of this may run in the master: a process that has initialised CUDA cannot be forked. The application is also
    # imported only here. Each process counts what it has imported, and the master has no use for Flask and numpy. The
    # price is that clients who connect in the second before the import has ended wait for it.
    gc.disable()  # what imports make is no garbage, and to look for it takes a twelfth of the start
    try:
        from wsgi import app
    except ConfigError as error:
        exit_for_good(error)
    gc.freeze()
    gc.enable()
    logger.info("Monica %s listens on %s", __version__, bind)
    app.extensions["monica"].start(on_config_error=exit_for_good, on_lost=exit_for_restart)
