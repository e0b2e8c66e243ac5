"""A server of the page for this machine alone: files out, nothing in."""

import functools
import pathlib
import re
from http import server
from typing import ClassVar

from rppg_tf.errors import InputError

HOST = '127.0.0.1'
_TYPES = {
  '': 'text/plain; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}
_HEADERS = {
  'Cache-Control': 'no-cache',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(self), microphone=(), geolocation=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}


class _Handler(server.SimpleHTTPRequestHandler):
  """Files of the page, with their types and the page's policy."""

  extensions_map: ClassVar[dict[str, str]] = _TYPES
  protocol_version = 'HTTP/1.1'

  def __init__(self, *args, policy: str, **kwargs):
    self._policy = policy
    super().__init__(*args, **kwargs)

  def end_headers(self) -> None:
    for name, value in _HEADERS.items():
      self.send_header(name, value)
    self.send_header(
      'Content-Security-Policy', f"{self._policy}; frame-ancestors 'none'"
    )
    super().end_headers()

  def list_directory(self, path):
    self.send_error(404)

  def log_message(self, format, *args):
    pass  # requests are of no interest


def make_server(folder: pathlib.Path, port: int) -> server.ThreadingHTTPServer:
  """Binds a server of 127.0.0.1; it answers once `serve_forever` is called.

  Args:
    folder: what `make web` wrote.
    port: TCP port; 0 for any.

  Returns:
    The server; `server_address` tells host and port.

  Raises:
    InputError: no page is there, or the port is taken.
  """
  page = folder / 'index.html'
  if not page.is_file():
    raise InputError(f'{page}: not there; run `make web`, or give --folder')
  policy = re.search(
    r'Content-Security-Policy" content="([^"]*)"', page.read_text('utf-8')
  )
  if policy is None:
    raise InputError(f'{page}: no Content-Security-Policy; run `make web`')
  handler = functools.partial(_Handler, directory=str(folder), policy=policy[1])
  try:
    return server.ThreadingHTTPServer((HOST, port), handler)
  except OSError as error:
    raise InputError(
      f'port {port}: {error.strerror}; give another by --port'
    ) from None
