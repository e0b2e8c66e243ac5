"""The files that predict writes: JSON, CSV and chart of each video."""

import csv
import importlib.util
import io
import os
import pathlib

from rppg_tf.errors import InputError
from rppg_tf.files import write_bytes, write_json
from rppg_tf.inference.meter import Estimate, Excerpt

_CHARTS = ('.png', '.html')
# Of the files of several videos, by flag.
_SUFFIXES = {
  'json': 'json',
  'csv': 'csv',
  'beats': 'beats.csv',
  'plot': 'html',
}
_BEAT_COLUMNS = ('time_s', 'quality')

# Name of a flag → where to write for one video.
Files = dict[str, pathlib.Path]


def plan(names: list[str], wanted: dict[str, str | None]) -> list[Files]:
  """Chooses the files of each video, and makes folders for those of several.

  Args:
    names: of the videos.
    wanted: `json`, `csv`, `beats` and `plot`, each a file's path or that of
      a folder, which it must be for several videos; None for nothing.

  Returns:
    For each video what to write where.

  Raises:
    InputError: what could not be drawn or written after all the work.
  """
  planned: list[Files] = [{} for _ in names]
  for kind, value in wanted.items():
    if value is None:
      continue
    is_folder = len(names) > 1 or os.path.isdir(value)
    path = pathlib.Path(value)
    parent = path.parent
    if kind == 'plot' and importlib.util.find_spec('matplotlib') is None:
      raise InputError(
        f"--plot={value}: needs matplotlib: pip install 'rppg_tf[plot]'"
      )
    if not parent.is_dir():
      raise InputError(f'--{kind}={value}: no folder {parent}')
    if is_folder:
      _make_folder(kind, path)
    elif kind == 'plot' and path.suffix not in _CHARTS:
      raise InputError(f'--plot={value}: the name must end in .png or .html')
    for files, name in zip(planned, names, strict=True):
      files[kind] = path / _file_name(name, kind) if is_folder else path
  _check_different(planned, names)
  return planned


def write(files: Files, result: dict, excerpt: Excerpt | None) -> None:
  """Writes what was planned, each file whole or not at all.

  Args:
    files: of this video.
    result: what the JSON holds.
    excerpt: what a chart shows of the best estimate; None where no face was
      in view when there was an estimate.

  Raises:
    InputError: a chart is wanted and there is nothing to show.
  """
  if 'json' in files:
    write_json(files['json'], result)
  if 'csv' in files:
    write_bytes(files['csv'], _csv(Estimate._fields, result['estimates']))
  if 'beats' in files:
    write_bytes(files['beats'], _csv(_BEAT_COLUMNS, result['beats']))
  if 'plot' in files:
    # matplotlib takes a second to load
    from rppg_tf.reporting import prediction

    if excerpt is None:
      raise InputError(
        f'{files["plot"]}: not drawn: no face was in view at the end of a '
        'window; record it again'
      )
    is_html = files['plot'].suffix == '.html'
    draw = prediction.html if is_html else prediction.png
    write_bytes(files['plot'], draw(result, excerpt))


def _make_folder(kind: str, path: pathlib.Path) -> None:
  try:
    path.mkdir(exist_ok=True)
  except FileExistsError:
    raise InputError(
      f'--{kind}={path}: a file; of several videos give a folder'
    ) from None


def _file_name(name: str, kind: str) -> str:
  return f'{pathlib.Path(name).stem}.{_SUFFIXES[kind]}'


def _check_different(planned: list[Files], names: list[str]) -> None:
  taken: dict[pathlib.Path, str] = {}
  for files, name in zip(planned, names, strict=True):
    for path in files.values():
      if path in taken:
        raise InputError(
          f'{path}: would be written for {taken[path]} and for {name}; rename '
          'one of them, or measure them one by one'
        )
      taken[path] = name


def _csv(columns: tuple[str, ...], rows: list[dict]) -> bytes:
  """A line a row; what is None is empty."""
  text = io.StringIO()
  writer = csv.DictWriter(text, columns, lineterminator='\n')
  writer.writeheader()
  writer.writerows(rows)
  return text.getvalue().encode()
