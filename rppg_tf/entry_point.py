"""How every command starts, and how it refuses bad input."""

import sys
from collections.abc import Callable

from absl import app, flags, logging

from rppg_tf.errors import InputError


def run(main: Callable[..., int | None], takes_words: bool = False) -> None:
  """Parses the flags and runs `main`; bad input is one line and exit code 1.

  Args:
    main: what to run; its result is the exit code.
    takes_words: whether it is given the words beside the flags, list[str];
      otherwise there must be none.
  """

  def guarded(argv: list[str]) -> int | None:
    if len(argv) > 1 and not takes_words:
      raise app.UsageError(f'unexpected argument {argv[1]!r}; see --help')
    if not flags.FLAGS['verbosity'].present:
      # TFDS tells every file that it opens.
      logging.set_verbosity(logging.ERROR)
    try:
      return main(argv[1:]) if takes_words else main()
    except (InputError, OSError) as error:
      print(f'error: {error}', file=sys.stderr)
      return 1

  app.run(guarded)
