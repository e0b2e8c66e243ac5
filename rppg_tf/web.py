"""Serves the page of `make web` to this machine, and opens the browser.

  python -m rppg_tf.web

The page measures the heart rate in the browser, by the firmware as a
WebAssembly module; firmware/port/web/README.md tells more. Only this machine
can reach the server, which hands out files and takes none. Ctrl-C ends it.
"""

import pathlib
import sys
import webbrowser

from absl import flags

from rppg_tf import page_server
from rppg_tf.entry_point import run

_FOLDER = flags.DEFINE_string(
  'folder',
  str(pathlib.Path(__file__).parents[1] / 'build/web'),
  'Folder of the page; default: where `make web` of the checkout puts it.',
)
_PORT = flags.DEFINE_integer(
  'port', 8017, 'TCP port; 0 for any that is free.', 0, 65535
)
_BROWSER = flags.DEFINE_bool('browser', True, 'Open the page in the browser.')


def main() -> None:
  """Serves until Ctrl-C."""
  folder = pathlib.Path(_FOLDER.value)
  with page_server.make_server(folder, _PORT.value) as serving:
    address = f'http://{page_server.HOST}:{serving.server_address[1]}/'
    print(f'{address} (Ctrl-C ends)', flush=True)
    if _BROWSER.value:
      webbrowser.open(address)
    try:
      serving.serve_forever()
    except KeyboardInterrupt:
      print(file=sys.stderr)


if __name__ == '__main__':
  run(main)
