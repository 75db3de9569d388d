"""How gunicorn serves Monica: its worker, its log, what is patched in it, and how the worker process ends."""
