"""Serves the page of `make web` to this machine, and opens the browser.

  python -m rppg_tf.web

The page measures the heart rate in the browser, by the firmware as a
WebAssembly module; firmware/port/web/README.md tells more. Only this machine
can reach the server, which hands out files and takes none. Ctrl-C ends it.
"""

import functools
import pathlib
import re
import sys
import webbrowser
from http import server
from typing import ClassVar

from absl import flags

from rppg_tf.entry_point import run
from rppg_tf.errors import InputError

_FOLDER = flags.DEFINE_string(
  'folder',
  str(pathlib.Path(__file__).parents[1] / 'build/web'),
  'Folder of the page; default: where `make web` of the checkout puts it.',
)
_PORT = flags.DEFINE_integer(
  'port', 8017, 'TCP port; 0 for any that is free.', 0, 65535
)
_BROWSER = flags.DEFINE_bool('browser', True, 'Open the page in the browser.')

_HOST = '127.0.0.1'
_TYPES = {
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

  extensions_map: ClassVar[dict[str, str]] = {
    '': 'text/plain; charset=utf-8',
    **_TYPES,
  }
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
    return server.ThreadingHTTPServer((_HOST, port), handler)
  except OSError as error:
    raise InputError(
      f'port {port}: {error.strerror}; give another by --port'
    ) from None


def main() -> None:
  """Serves until Ctrl-C."""
  with make_server(pathlib.Path(_FOLDER.value), _PORT.value) as serving:
    address = f'http://{_HOST}:{serving.server_address[1]}/'
    print(f'{address} (Ctrl-C ends)', flush=True)
    if _BROWSER.value:
      webbrowser.open(address)
    try:
      serving.serve_forever()
    except KeyboardInterrupt:
      print(file=sys.stderr)


if __name__ == '__main__':
  run(main)
