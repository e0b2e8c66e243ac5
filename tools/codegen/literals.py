"""Numbers as C literals that read back as the same bits."""

import numpy as np


def float_literal(value: float | np.floating) -> str:
  """Returns a float32 as the C literal that reads back as the same bits."""
  number = np.float32(value)
  if not np.isfinite(number):
    raise ValueError(f'weight: expected a finite number, got {number}')
  mantissa, e, exponent = f'{number:.9g}'.partition('e')
  if '.' not in mantissa:
    mantissa += '.0'
  return f'{mantissa}{e}{exponent}f'


def float32_bits(value: float) -> str:
  """Returns the bits of a float32 as a C literal, to compare at compile time.

  The preprocessor knows integers only.
  """
  return f'0x{int(np.float32(value).view(np.uint32)):08x}u'


def int_rows(values: np.ndarray, per_line: int = 16) -> str:
  """Returns whole numbers as lines of an initialiser."""
  flat = values.ravel().tolist()
  lines = [
    '    ' + ', '.join(str(value) for value in flat[start : start + per_line])
    for start in range(0, len(flat), per_line)
  ]
  return ',\n'.join(lines)
