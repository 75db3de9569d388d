"""The application gunicorn serves; gunicorn.conf.py starts its announcer."""

from monica import create_app

app = create_app()
