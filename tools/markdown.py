"""Tables of Markdown."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
  """Returns a table with its columns aligned, the first one to the left.

  Args:
    header: a text for each column; may be empty.
    rows: a text for each column, row by row.
  """
  lines = [header, *rows]
  widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]

  def line(cells):
    first = cells[0].ljust(widths[0])
    rest = (c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))
    return f'| {" | ".join([first, *rest])} |'

  rule = ['-' * widths[0], *(f'{"-" * (width - 1)}:' for width in widths[1:])]
  return '\n'.join([line(header), line(rule), *map(line, lines[1:])])
