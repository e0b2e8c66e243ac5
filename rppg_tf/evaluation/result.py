"""What an evaluation found, as values, files and text."""

import dataclasses
import pathlib
from typing import Any

import pandas

from rppg_tf import files, run_directory


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """Errors, and the windows that they are of.

  Attributes:
    summaries: by estimator, as windows.summarise gives them.
    about: what evaluation.json says beside: protocol, confidence threshold,
      errors by window length.
    rows: one for each window, as windows.csv has them (windows.window_rows).
    text: the tables that `rppg_tf.evaluate` prints.
    origins: where the recordings come from, by subject (data.provenance).
  """

  summaries: dict[str, dict[str, Any]]
  about: dict[str, Any]
  rows: pandas.DataFrame
  text: str
  origins: dict[str, str]

  def write(self, json_path: pathlib.Path) -> None:
    """Writes evaluation.json, windows.csv and provenance.json beside it."""
    files.write_json(json_path, self.summaries | self.about)
    files.write_json(
      json_path.with_name(run_directory.PROVENANCE), self.origins
    )
    text = self.rows.to_csv(index=False, na_rep='nan', lineterminator='\n')
    files.write_bytes(json_path.with_name(run_directory.WINDOWS), text.encode())
