"""When to reject an estimate: the threshold, and what rejecting buys.

The signal quality is the probability that an estimate is within 5 BPM: what is
less likely than 0.95 is rejected: at 0.8 one in twenty windows of still
photographs would have a rate. Where the windows of validation subjects show
that this is not strict enough for a run, the threshold is higher; it is never
chosen on those that it is then judged by. `rppg_tf.evaluate` writes it to
RUN_DIR/confidence.json; `rppg_tf.predict` rejects what lies below.
"""

import math

import numpy as np

# An estimate is good if it is this close to the reference.
GOOD_BPM = 5.0
# What is less likely to be good is rejected.
MIN_THRESHOLD = 0.95
# Share of good ones among the estimates that are let through.
GOOD_SHARE = 0.98
COVERAGES_PERCENT = (100, 90, 80, 70, 50)
# Of a model that is right nowhere, every estimate is rejected.
_REJECT_ALL = 1.0


def choose_threshold(
  confidence: np.ndarray, absolute_error_bpm: np.ndarray
) -> dict[str, float | int | None]:
  """Returns the lowest threshold by which 98 % of what is kept is good.

  Args:
    confidence: float [windows] in [0, 1], of validation subjects.
    absolute_error_bpm: float [windows], BPM.

  Returns:
    {threshold, windows, good_windows, kept_good_percent, kept_bad_percent}:
    an estimate is reported if its confidence is at or above `threshold`, which
    is 0.95 at least, and 1 if none does. A share of no window is None.
  """
  confidence = np.asarray(confidence, np.float64)
  good = np.asarray(absolute_error_bpm) <= GOOD_BPM
  threshold = _REJECT_ALL
  for value in np.sort(np.append(confidence, MIN_THRESHOLD)):
    kept = confidence >= value
    if value >= MIN_THRESHOLD and np.sum(kept & good) >= max(
      GOOD_SHARE * np.sum(kept), 1
    ):
      threshold = float(value)
      break
  return {
    'threshold': threshold,
    'windows': int(confidence.size),
    'good_windows': int(np.sum(good)),
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
  """Returns {kept_percent, kept_mae_bpm, rejected_mae_bpm}.

  The MAE of no window is NaN; there must be one window at least.
  """
  kept = np.asarray(confidence) >= threshold
  absolute_error_bpm = np.asarray(absolute_error_bpm)
  return {
    'kept_percent': _percent(kept),
    'kept_mae_bpm': _mean(absolute_error_bpm[kept]),
    'rejected_mae_bpm': _mean(absolute_error_bpm[~kept]),
  }


def _percent(flags: np.ndarray) -> float | None:
  return float(100 * np.mean(flags)) if flags.size else None


def _mean(values: np.ndarray) -> float:
  return float(np.mean(values)) if values.size else float('nan')
