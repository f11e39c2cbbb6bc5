"""The description of the API as a page: no script, nothing from elsewhere, light and dark."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from labsessions.http.errors import Problem

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .875rem; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
.method { font-weight: 700; }
@media (max-width: 40rem) {
  table, tbody, tr, td { display: block; }
  thead { display: none; }
  td { border: 0; padding: 0; }
  tr { padding: .5rem 0; border-bottom: 1px solid var(--line); }
}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy of the page: its own style, and nothing else."""


def page(description: Mapping[str, Any], problems: Iterable[Problem]) -> str:
    """HTML for the description of `openapi.document` and the failures of `openapi.codes`."""
    info, schemas = description["info"], description["components"]["schemas"]
    operations = [
        _operation(method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    named = [_schema(name, schemas[name]) for name in ("Lab", "LabChanges", "Extension", "Session")]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        + "".join(f"<p>{_text(paragraph)}</p>" for paragraph in info["description"].strip().split("\n\n"))
        + '<p>For programs: <a href="openapi.json">openapi.json</a></p>'
        + "".join(operations)
        + "".join(named)
        + _failures(problems)
        + "</main></body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    token = "" if operation["security"] else " No token needed."
    rows = [
        (f"<code>{status}</code>", _text(answer["description"])) for status, answer in operation["responses"].items()
    ]
    return (
        f'<h2><span class="method">{method}</span> <code>{escape(path)}</code></h2>'
        f"<p>{escape(operation['summary'])}.{token}</p>{_body(operation)}{_table(('Status', 'Meaning'), rows)}"
    )


def _body(operation: Mapping[str, Any]) -> str:
    if "requestBody" not in operation:
        return ""
    example = operation["requestBody"]["content"]["application/json"]["example"]
    return f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    rows = [
        (f"<code>{escape(member)}</code>", _kind(of), "yes" if member in schema.get("required", ()) else "")
        for member, of in schema["properties"].items()
    ]
    return f"<h2>{escape(name)}</h2>{_table(('Member', 'Value', 'Always'), rows)}"


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "enum" in schema:
        values = ("null" if each is None else str(each) for each in schema["enum"])
        return " or ".join(f"<code>{escape(value)}</code>" for value in values)
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = " or ".join(kinds)
    bounds = [
        f"{word} {schema[name]}"
        for name, word in (("exclusiveMinimum", "above"), ("minimum", "from"), ("maximum", "up to"))
        if name in schema
    ]
    members = schema.get("properties") or schema.get("items", {}).get("properties")
    inner = f" of {', '.join(members)}" if members else ""
    notes = "; ".join([*bounds, *([schema["description"]] if "description" in schema else [])])
    return escape(f"{words}{inner}{f' ({notes})' if notes else ''}")


def _failures(problems: Iterable[Problem]) -> str:
    rows = [(f"<code>{escape(problem.code)}</code>", str(problem.status), escape(problem.text)) for problem in problems]
    return f"<h2>Failures</h2>{_table(('Code', 'Status', 'Text'), rows)}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table>"


def _text(markdown: str) -> str:
    """Prose in which only code is marked."""
    parts = markdown.split("`")
    return "".join(f"<code>{escape(part)}</code>" if index % 2 else escape(part) for index, part in enumerate(parts))
