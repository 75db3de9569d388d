"""How gunicorn serves Monica: worker, log, patches, and the exit of the worker process."""
