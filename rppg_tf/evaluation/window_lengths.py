"""How the error grows as windows shrink: 2.5, 5, 10 and 20 s.

Of pulse waves (the baselines' and the networks'), read by the highest peak of
their spectrum at every length. The head's own reading of its spectrum has
weights for 10 s and is not asked.
"""

import numpy as np

from rppg_tf import contract
from rppg_tf.evaluation import metrics
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.signals import resampling, spectrum

LENGTHS_S = (2.5, 5.0, 10.0, 20.0)


def window_rows(recording: dict, estimates: dict) -> list[dict]:
  """Reads the pulse waves of a recording at every length.

  Windows end where those of 10 s do, so that shorter ones are of the same
  moments; the reference is the mean label over the window itself.

  Args:
    recording: an example of tfds_ubfc.
    estimates: evaluation.Estimates by name.

  Returns:
    A row for each window with a label: {length_s, reference_bpm, and for each
    estimator with a pulse its BPM}.
  """
  labels = resampling.to_grid(
    recording['heart_rate_bpm'], recording['timestamp_s']
  )
  pulses = {
    name: estimate.pulse
    for name, estimate in estimates.items()
    if estimate.pulse is not None
  }
  rows = []
  for length_s in LENGTHS_S:
    length = round(length_s * contract.GRID_RATE_HZ)
    reference = np.mean(
      inference_estimates.pulse_windows(labels, length), axis=1
    )
    rates = {
      name: spectrum.peak_bpm(inference_estimates.pulse_windows(pulse, length))
      for name, pulse in pulses.items()
    }
    rows += [
      {'length_s': length_s, 'reference_bpm': float(reference[window])}
      | {name: float(rate[window]) for name, rate in rates.items()}
      for window in np.flatnonzero(np.isfinite(reference))
    ]
  return rows


def summarise(rows: list[dict]) -> dict[str, dict]:
  """Returns heart_rate_errors by name, then by length as text ('2.5')."""
  names = [n for n in rows[0] if n not in ('length_s', 'reference_bpm')]
  summary: dict[str, dict] = {name: {} for name in names}
  for length_s in LENGTHS_S:
    chosen = [row for row in rows if row['length_s'] == length_s]
    if chosen:
      reference = np.array([row['reference_bpm'] for row in chosen])
      for name in names:
        summary[name][f'{length_s:g}'] = metrics.heart_rate_errors(
          reference, np.array([row[name] for row in chosen])
        )
  return summary
