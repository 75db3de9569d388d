"""The report of an examination as one page, for the operator and for whoever he or she sends it to."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: #8886; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; margin: .4rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); }
h2 { font-size: 1.15rem; margin: 1.8rem 0 .2rem; }
.ok { color: #0b7a4b; } .failed { color: #c0262d; font-weight: 700; }
"""


def render(whole: Mapping[str, Any]) -> str:
    """Return the page of a report."""
    verdict = "everything passed" if whole["ok"] else "something failed: see below"
    quick = "<p><b>A quick run: it shows that everything runs, and the figures mean nothing.</b></p>" * whole["quick"]
    parts = "".join(map(_part, whole["parts"].values()))
    scores = whole.get("scores")
    heard = f"<h2>Scores of the ear test</h2>{_value(scores)}" if scores else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Monica: report of an examination</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Monica {escape(whole["monica"])}: {escape(whole["engine"])} on this machine</h1>
<p class="{"ok" if whole["ok"] else "failed"}">{verdict}</p>
<p>{escape(whole["date"])}. This page holds no name, no address, no folder and no sound.</p>{quick}
{parts}{heard}
</body>
</html>
"""


def _part(part: Mapping[str, Any]) -> str:
    title = part["title"]
    if not part["ok"]:
        return f'<h2>{escape(title)}</h2><p class="failed">{escape(part["error"])}</p>'
    return f"<h2>{escape(title)}</h2>{_value(part['found'])}"


def _value(value: Any) -> str:
    """Return a value as HTML: a table for what has names, or rows that do."""
    if isinstance(value, Mapping):
        rows = "".join(f"<tr><th>{escape(str(name))}</th><td>{_value(each)}</td></tr>" for name, each in value.items())
        return f"<table>{rows}</table>" if rows else "none"
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        head = "".join(f"<th>{escape(str(name))}</th>" for name in value[0])
        rows = "".join("<tr>" + "".join(f"<td>{_value(each)}</td>" for each in row.values()) + "</tr>" for row in value)
        return f"<table><tr>{head}</tr>{rows}</table>"
    if isinstance(value, list):
        separator = "<br>" if all(isinstance(each, str) for each in value) else ", "
        return separator.join(_value(each) for each in value) or "none"
    return escape("–" if value is None else str(value))
