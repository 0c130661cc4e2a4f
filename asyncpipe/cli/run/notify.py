"""Post a message to the chat that was named; it never fails what was done."""

from __future__ import annotations

from collections.abc import Mapping

from asyncpipe.model.run import ChatFormat
from asyncpipe.report import webhook
from asyncpipe.report.webhook import Message
from asyncpipe.settings import Settings


async def post(settings: Settings, message: Message) -> str:
    """Post ``message``; returns "" or one sentence that says why the chat does not have it."""
    if not settings.webhook_url:
        return ""
    from asyncpipe.report import webhook_post

    form = settings.webhook_format
    if form is ChatFormat.AUTO:
        form = webhook.format_of(settings.webhook_url)
    return await webhook_post.post(settings.webhook_url, webhook.body(message, form))


def run_url_of(environment: Mapping[str, str]) -> str:
    """The page of the workflow's run, empty elsewhere."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run_id = (environment.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{run_id}" if run_id else ""
