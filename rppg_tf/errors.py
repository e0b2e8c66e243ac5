"""Bad input, as one line that the user reads."""


class InputError(ValueError):
  """Something the user gave is wrong; the message is the line they read.

  One line: what is wrong, where, and what to do.
  """
