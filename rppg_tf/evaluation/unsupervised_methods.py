"""GREEN, CHROM and POS: what a user would pick instead of a network.

On the face-mean RGB trace, of the mid face (the stronger peer) or of the ROIs,
brought to the 30 Hz grid from the measured times. Heart rate: the same 10 s
windows, band and Hann-windowed spectrum as the model's head, by its highest
peak (spectrum.peak_bpm). NumPy and SciPy only.

They are given two advantages over the model: filters and overlap-add run over
the whole recording, so that a window sees up to 1.6 s beyond its end (on the
36 recordings of the demo this is worth 0.02 BPM to POS), and no warm-up.

All pulses rise with the blood volume, as a contact PPG does: the light that
skin sends back falls.
"""

import numpy as np

from rppg_tf.inference import estimates
from rppg_tf.signals import spectrum, unsupervised

METHODS = {
  'pos': unsupervised.pos,
  'chrom': unsupervised.chrom,
  'green': unsupervised.green,
}


def face_mean_trace(recording: dict) -> np.ndarray:
  """Returns the RGB trace of the mid face, float64 [frames, 3]."""
  return recording['mid_face_rgb'].astype(np.float64)


def rois_trace(recording: dict) -> np.ndarray:
  """Returns the RGB trace of all ROI pixels, float64 [frames, 3]."""
  return recording['frames'].mean(axis=(1, 2, 3), dtype=np.float64)


def estimators() -> dict[str, estimates.Estimator]:
  """Returns pos, chrom, green of the mid face and NAME_rois of the ROIs."""
  found = {
    name: _estimator(method, face_mean_trace)
    for name, method in METHODS.items()
  }
  for name, method in METHODS.items():
    found[f'{name}_rois'] = _estimator(method, rois_trace)
  return found


def _estimator(method, trace) -> estimates.Estimator:
  def estimate(recording):
    rgb = unsupervised.on_grid(
      trace(recording), recording['timestamp_s'], recording['face_found']
    )
    pulse = method(rgb)
    windows = estimates.pulse_windows(pulse)
    return estimates.Estimates(
      spectrum.peak_bpm(windows).astype(np.float32), pulse.astype(np.float32)
    )

  return estimate
