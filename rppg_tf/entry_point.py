"""How every command starts, and how it refuses bad input."""

import sys
from collections.abc import Callable

from absl import app, flags, logging


class InputError(ValueError):
  """Something the user gave is wrong; the message is the line they read.

  One line: what is wrong, where, and what to do.
  """


def run(main: Callable[[], int | None]) -> None:
  """Parses the flags and runs `main`; bad input is one line and exit code 1."""

  def guarded(argv: list[str]) -> int | None:
    if len(argv) > 1:
      raise app.UsageError(f'unexpected argument {argv[1]!r}; see --help')
    if not flags.FLAGS['verbosity'].present:
      # TFDS tells every file that it opens.
      logging.set_verbosity(logging.ERROR)
    try:
      return main()
    except (InputError, OSError) as error:
      print(f'error: {error}', file=sys.stderr)
      return 1

  app.run(guarded)
