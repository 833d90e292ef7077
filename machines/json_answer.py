"""How the outside services of the examples answer."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler


def send_json(request: BaseHTTPRequestHandler, status: int, body: object) -> None:
    """Answer a request with JSON."""
    text = json.dumps(body).encode()
    request.send_response(status)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(text)))
    request.end_headers()
    request.wfile.write(text)
