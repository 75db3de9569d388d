"""How gunicorn runs Monica: one worker, the only owner of the GPU, that loads the model in the background."""

import logging
import math
import sys

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

import monica.api  # noqa: F401 - before the port is open: who comes while she starts would wait for it
from monica import __version__, logs
from monica.config import Settings
from monica.errors import ConfigError
from monica.worker import DrainingWorker, Logger, end, halt

logger = logging.getLogger("monica")

try:
    settings = Settings.from_env()
except ConfigError as error:
    sys.exit(f"Monica cannot start: {error}")

wsgi_app = "wsgi:app"
bind = f"{settings.host}:{settings.port}"
workers = 1
worker_class = DrainingWorker
# Those of requests that wait for their sentence are taken; the others answer what need not wait.
threads = settings.threads + settings.queue_size
# Longer than nginx keeps its upstream connections, so that it is never Monica who closes one under a request.
keepalive = 75
# The last take admitted may use its whole deadline.
graceful_timeout = math.ceil(settings.deadline_s) + 5
# Importing torch can hold the interpreter for many seconds, during which no heartbeat is sent.
timeout = 120
control_socket_disable = True
logger_class = Logger
logconfig_dict = logs.config(settings.log_level)


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Start the loader thread; the worker answers at once, and says that it is loading until it is ready."""
    # Nothing of this may run in the master: a process that has touched CUDA cannot be forked.
    try:
        from wsgi import app
    except ConfigError as error:
        halt(error)
    logger.info("Monica %s listens on %s", __version__, bind)
    app.extensions["monica"].start(on_config_error=halt, on_lost=end)
