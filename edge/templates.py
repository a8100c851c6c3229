"""The edge's own pages, filled in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jinja2 import Template

PAGES: Final = Path(__file__).with_name("pages")


def template(name: str) -> Template:
    """A page of `edge/pages`, to be filled in; texts are escaped, and what is not given is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # 40 ms that a start need not wait for

    environment = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
