"""How the error grows as windows shrink: 2.5, 5, 10 and 20 s.

Of pulse waves (the unsupervised methods' and the networks'), read by the
highest peak of their spectrum at every length. The head's own reading of its
spectrum has weights for 10 s and is not asked.
"""

import numpy as np
import pandas

from rppg_tf import contract
from rppg_tf.evaluation import metrics, windows
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.signals import resampling, spectrum

LENGTHS_S = (2.5, 5.0, 10.0, 20.0)


def window_rows(recording: dict, estimates: dict) -> pandas.DataFrame:
  """Reads the pulse waves of a recording at every length.

  Windows end where those of 10 s do, so that shorter ones are of the same
  moments; the reference is the mean label over the window itself.

  Args:
    recording: an example of tfds_ubfc.
    estimates: evaluation.Estimates by name.

  Returns:
    A row for each window with a label: subject, length_s, reference_bpm, and
    for each estimator with a pulse its BPM.
  """
  labels = resampling.to_grid(
    recording['heart_rate_bpm'], recording['timestamp_s']
  )
  pulses = {
    name: estimate.pulse
    for name, estimate in estimates.items()
    if estimate.pulse is not None
  }
  parts = []
  for length_s in LENGTHS_S:
    length = round(length_s * contract.GRID_RATE_HZ)
    reference = np.mean(
      inference_estimates.pulse_windows(labels, length), axis=1
    )
    columns = {
      'length_s': np.full(len(reference), length_s),
      'reference_bpm': reference,
    }
    for name, pulse in pulses.items():
      columns[name] = spectrum.peak_bpm(
        inference_estimates.pulse_windows(pulse, length)
      )
    known = np.flatnonzero(np.isfinite(reference))
    parts.append(windows.table(recording, columns, known))
  return pandas.concat(parts, ignore_index=True)


def summarise(rows: pandas.DataFrame) -> dict[str, dict]:
  """Returns heart_rate_errors by name, then by length as text ('2.5')."""
  names = rows.columns.drop(['subject', 'length_s', 'reference_bpm'])
  return {
    name: {
      f'{length_s:g}': metrics.heart_rate_errors(
        of_length['reference_bpm'], of_length[name]
      )
      for length_s, of_length in rows.groupby('length_s')
    }
    for name in names
  }
