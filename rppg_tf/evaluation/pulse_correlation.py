"""How a pulse wave goes with the reference PPG, window by window.

Where heart rates are right to a fraction of a BPM, this still tells a better
pulse from a worse one.
"""

import numpy as np
import pandas

from rppg_tf.evaluation import metrics, windows
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference.estimates import Estimates
from rppg_tf.signals import resampling


def window_rows(
  recording: dict, estimates: dict[str, Estimates]
) -> pandas.DataFrame:
  """Returns windows.window_rows with NAME_pulse_r where NAME has a pulse.

  NAME_pulse_r is Pearson's correlation of pulse and PPG over the 10 s, NaN
  where one of them stands still.

  Args:
    recording: an example of tfds_ubfc as NumPy.
    estimates: by name.
  """
  rows = windows.window_rows(recording, estimates, float('nan'))
  timestamp_s = recording['timestamp_s']
  reference_bpm = windows.reference_bpm(
    recording['heart_rate_bpm'], timestamp_s
  )
  known = np.flatnonzero(np.isfinite(reference_bpm))
  ppg = inference_estimates.pulse_windows(
    resampling.to_grid(recording['ppg'], timestamp_s)
  )
  for name, estimate in estimates.items():
    if estimate.pulse is None:
      continue
    pulse = inference_estimates.pulse_windows(estimate.pulse)
    rows[f'{name}_pulse_r'] = [
      metrics.pearson_r(pulse[window], ppg[window]) for window in known
    ]
  return rows


def summarise(rows: pandas.DataFrame, name: str) -> dict:
  """Returns windows.summarise with pulse_r, the mean over windows.

  Without pulse_r if the estimator has no pulse.
  """
  summary = windows.summarise(rows, name)
  if f'{name}_pulse_r' in rows:
    finite = rows[f'{name}_pulse_r'].dropna().to_numpy()
    summary['pulse_r'] = float(np.mean(finite)) if finite.size else 0.0
  return summary
