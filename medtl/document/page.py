"""From a template to a page."""

from __future__ import annotations

import re

import jinja2
from markupsafe import Markup, escape

from medtl.document.picture import data_uri, picture_of
from medtl.estimates import number


def environment(package: str) -> jinja2.Environment:
    """Templates of `package` and this room's own. Everything put into a page is escaped: names come from configs, tables, file systems."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader("medtl.document")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(ticked=ticked, unbroken=unbroken)
    made.globals.update(number=number, data_uri=data_uri, picture_of=picture_of)
    return made


def unbroken(text: str) -> str:
    r"""Text whose intervals are not broken.

    >>> unbroken("0.9 (0.8 to 1.0), p 1"), unbroken("n/a (no cases)")
    ('0.9 (0.8\xa0to\xa01.0), p 1', 'n/a (no cases)')
    """
    return re.sub(r"\((\S+) to (\S+)\)", "(\\1\u00a0to\u00a0\\2)", text)


def ticked(text: str) -> Markup:
    """Text with what stands in backticks as code.

    >>> ticked("say `a < b`")
    Markup('say <code>a &lt; b</code>')
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
