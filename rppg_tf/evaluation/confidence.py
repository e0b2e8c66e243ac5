"""When to withhold an estimate: the threshold, and what withholding buys.

The threshold is chosen on windows of validation subjects, never on those that
it is then judged by. `rppg_tf.evaluate` writes it to RUN_DIR/confidence.json;
`rppg_tf.predict` withholds what lies below.
"""

import math

import numpy as np

# An estimate is good if it is this close to the reference.
GOOD_BPM = 5.0
# Share of the good estimates that the threshold must let through.
KEPT_SHARE = 0.9
COVERAGES_PERCENT = (100, 90, 80, 70, 50)
# Of a model that is right nowhere, every estimate is withheld.
_WITHHOLD_ALL = 1.0


def choose_threshold(
  confidence: np.ndarray, absolute_error_bpm: np.ndarray
) -> dict[str, float | int | None]:
  """Returns the highest threshold that keeps 90 % of the good windows.

  Args:
    confidence: float [windows] in [0, 1], of validation subjects.
    absolute_error_bpm: float [windows], BPM.

  Returns:
    {threshold, windows, good_windows, kept_good_percent, kept_bad_percent}:
    an estimate is reported if its confidence is at or above `threshold`. With
    no good window, the threshold is 1. A share of no window is None.
  """
  confidence = np.asarray(confidence, np.float64)
  good = np.asarray(absolute_error_bpm) <= GOOD_BPM
  falling = np.sort(confidence[good])[::-1]
  threshold = _WITHHOLD_ALL
  if falling.size:
    threshold = float(falling[math.ceil(KEPT_SHARE * falling.size) - 1])
  return {
    'threshold': threshold,
    'windows': int(confidence.size),
    'good_windows': int(falling.size),
    'kept_good_percent': _percent(confidence[good] >= threshold),
    'kept_bad_percent': _percent(confidence[~good] >= threshold),
  }


def errors_by_coverage(
  confidence: np.ndarray, absolute_error_bpm: np.ndarray
) -> list[dict[str, float | int]]:
  """Returns the MAE of the most confident 100, 90, 80, 70 and 50 % windows.

  Args:
    confidence: float [windows] in [0, 1].
    absolute_error_bpm: float [windows], BPM.

  Returns:
    For each share {coverage_percent, threshold, mae_bpm, windows}; threshold
    is the lowest confidence that was kept.
  """
  order = np.argsort(-np.asarray(confidence, np.float64), kind='stable')
  errors = []
  for percent in COVERAGES_PERCENT:
    kept = order[: math.ceil(percent * len(order) / 100)]
    errors.append(
      {
        'coverage_percent': percent,
        'threshold': float(confidence[kept[-1]]),
        'mae_bpm': float(np.mean(np.asarray(absolute_error_bpm)[kept])),
        'windows': len(kept),
      }
    )
  return errors


def errors_at_threshold(
  confidence: np.ndarray, absolute_error_bpm: np.ndarray, threshold: float
) -> dict[str, float | None]:
  """Returns {kept_percent, kept_mae_bpm, withheld_mae_bpm}.

  The MAE of no window is NaN; there must be one window at least.
  """
  kept = np.asarray(confidence) >= threshold
  absolute_error_bpm = np.asarray(absolute_error_bpm)
  return {
    'kept_percent': _percent(kept),
    'kept_mae_bpm': _mean(absolute_error_bpm[kept]),
    'withheld_mae_bpm': _mean(absolute_error_bpm[~kept]),
  }


def _percent(flags: np.ndarray) -> float | None:
  return float(100 * np.mean(flags)) if flags.size else None


def _mean(values: np.ndarray) -> float:
  return float(np.mean(values)) if values.size else float('nan')
