"""The WSGI application. gunicorn.conf.py starts its service."""

from monica import create_app

app = create_app()
