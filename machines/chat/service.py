"""The application to serve: `hypercorn machines.chat.service:app`.

OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL say which model answers; SLACK_API_URL and SLACK_BOT_TOKEN, where Slack is,
and SLACK_SIGNING_SECRET how its events are signed; WORLD_URL, where the prices of flights are.
"""

import os

import httpx
from openai import AsyncOpenAI

import durable_fsm
from machines.chat.activities import Model, Slack
from machines.chat.machine import ChatSession
from machines.chat.messages import ChatMessage
from machines.chat.slack import SlackChannel

model = Model(
    AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY", "none"), max_retries=0),
    os.environ.get("OPENAI_MODEL", "gpt-4o-mini"),
)
slack = Slack(
    httpx.AsyncClient(
        base_url=os.environ.get("SLACK_API_URL", "https://slack.com/api"),
        headers={"authorization": f"Bearer {os.environ.get('SLACK_BOT_TOKEN', 'none')}"},
        timeout=30,
    )
)

app = durable_fsm.app(ChatSession, ChatMessage, SlackChannel, services={"model": model, "slack": slack})
