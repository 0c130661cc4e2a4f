"""The catalogue as one HTML file for people: gathered, packed into columns, rendered."""

from asyncpipe.catalog.page.gather import Overview, TemplateView, gather
from asyncpipe.catalog.page.render import render

__all__ = ["Overview", "TemplateView", "gather", "render"]
