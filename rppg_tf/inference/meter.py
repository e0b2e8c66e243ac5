"""Frames of a video → heart rate every second, in bounded memory.

    VideoReader → elapsed_times → frame_batches.cut_batches → HeartRateMeter

Nothing here knows how long the video is. No TensorFlow unless the backend is
Keras.
"""

import math
import pathlib
from typing import NamedTuple

import numpy as np

from rppg_tf import contract, files, run_directory
from rppg_tf.errors import InputError
from rppg_tf.faces import stabiliser
from rppg_tf.inference import backends
from rppg_tf.inference.frame_batches import Batch
from rppg_tf.video.jpeg_frame import decoded


class Estimate(NamedTuple):
  """The heart rate over the 10 s up to `time_s`.

  Attributes:
    time_s: seconds from the first frame, 10, 11, 12, ...
    bpm: None while withheld.
    raw_bpm: what the model says in any case.
    confidence: in [0, 1].
  """

  time_s: float
  bpm: float | None
  raw_bpm: float
  confidence: float


class Excerpt(NamedTuple):
  """What a plot shows of one estimate.

  Attributes:
    estimate: the estimate.
    pulse: float32 [300], the 10 s that it was made of.
    frame_bgr: uint8 (height, width, 3), a frame of that moment.
    box: face box in it.
    roi_geometry: a key of face_rois.ROI_GEOMETRIES_PERCENT.
  """

  estimate: Estimate
  pulse: np.ndarray
  frame_bgr: np.ndarray
  box: stabiliser.Box
  roi_geometry: str


class HeartRateMeter:
  """Batches of one video → estimates.

  An estimate is withheld (bpm None) if its confidence is below the threshold,
  or if in its 10 s no face was seen for more than 1 s: a frame without
  face_found, or more than 1 s from one frame to the next.

  Attributes:
    estimates: list of Estimate, one a second from 10 s on.
    num_frames: frames taken.
    num_face_frames: those with a face.
    elapsed_s: time of the newest frame, seconds from the first; once finished
      that of its end.
    excerpt: of the reported estimate of highest confidence; of any, while
      none was reported; None without any.
  """

  def __init__(self, backend: backends.Backend, confidence_threshold: float):
    self._backend = backend
    self._threshold = confidence_threshold
    self._pulse = np.empty(0, np.float32)
    self._num_samples = 0
    self._faceless_s: list[tuple[float, float]] = []
    self._last: Batch | None = None
    self._shown_s = 0.0
    self.estimates: list[Estimate] = []
    self.num_frames = 0
    self.num_face_frames = 0
    self.elapsed_s = 0.0
    self.excerpt: Excerpt | None = None

  def push(self, batch: Batch) -> list[Estimate]:
    """Takes the next batch; returns the estimates that fell due."""
    self._note_faceless(batch)
    self.num_frames += len(batch.elapsed_s)
    self.num_face_frames += int(np.sum(batch.face_found))
    *_, before_s, last_s = self.elapsed_s, *batch.elapsed_s
    self._shown_s = min(last_s - before_s, contract.MAX_FACE_HOLD_S)
    self._last = batch._replace(
      codes=batch.codes[-1:], colour=batch.colour[-1:]
    )
    return self._advance(batch)

  def finish(self) -> list[Estimate]:
    """Ends the measurement; returns the estimates that fell due.

    The last frame is taken to be shown for as long as the one before, so that
    300 frames at 30 frames/s are 10 s.
    """
    if self._last is None:
      return []
    end_s = np.array([self.elapsed_s + self._shown_s])
    return self._advance(self._last._replace(elapsed_s=end_s))

  def _advance(self, batch: Batch) -> list[Estimate]:
    self.elapsed_s = float(batch.elapsed_s[-1])
    result = self._backend.push(batch.codes, batch.colour, batch.elapsed_s)
    pulse = np.concatenate([self._pulse, result.pulse])
    first_sample = self._num_samples - len(self._pulse)
    self._num_samples += len(result.pulse)
    fresh = []
    for bpm, share in zip(
      result.heart_rate_bpm, result.confidence, strict=True
    ):
      estimate = self._estimate(float(bpm), float(share))
      self.estimates.append(estimate)
      fresh.append(estimate)
      end = round(estimate.time_s * contract.GRID_RATE_HZ) - first_sample
      self._keep_best(
        estimate, pulse[end - contract.WINDOW_SAMPLES : end], batch
      )
    self._pulse = pulse[-contract.WINDOW_SAMPLES :]
    start_s, _ = self._next_window_s()
    self._faceless_s = [span for span in self._faceless_s if span[1] >= start_s]
    return fresh

  def _note_faceless(self, batch: Batch) -> None:
    """Remembers the spans in which no face was seen, (from, to) in s."""
    starts_s = np.append(self.elapsed_s, batch.elapsed_s[:-1])
    for start_s, end_s, found in zip(
      starts_s, batch.elapsed_s, batch.face_found, strict=True
    ):
      if end_s - start_s > contract.MAX_FACE_HOLD_S:
        self._faceless_s.append((start_s, end_s))
      elif not found:
        self._faceless_s.append((end_s, end_s))

  def _next_window_s(self) -> tuple[float, float]:
    start_s = len(self.estimates) * contract.WINDOW_STRIDE_S
    return float(start_s), float(start_s + contract.WINDOW_S)

  def _estimate(self, bpm: float, share: float) -> Estimate:
    start_s, end_s = self._next_window_s()
    faceless = any(
      since_s < end_s and until_s >= start_s
      for since_s, until_s in self._faceless_s
    )
    withheld = faceless or not share >= self._threshold
    return Estimate(end_s, None if withheld else bpm, bpm, share)

  def _keep_best(self, estimate, pulse, batch) -> None:
    def rank(candidate: Estimate):
      return candidate.bpm is not None, candidate.confidence

    best = self.excerpt
    if batch.box is None or (best and rank(estimate) <= rank(best.estimate)):
      return
    frame_bgr = decoded(batch.frame)
    if frame_bgr is not None:
      self.excerpt = Excerpt(
        estimate, pulse.copy(), frame_bgr, batch.box, batch.roi_geometry
      )


def summarise(estimates: list[Estimate]) -> dict[str, float | None]:
  """Returns {median_bpm, withheld_share}; the median of those reported."""
  reported = [e.bpm for e in estimates if e.bpm is not None]
  return {
    'median_bpm': float(np.median(reported)) if reported else None,
    'withheld_share': 1 - len(reported) / len(estimates),
  }


def read_threshold(run_dir: pathlib.Path) -> float:
  """Reads confidence.json of a run.

  Raises:
    InputError: not there, or without a threshold.
  """
  path = run_dir / run_directory.CONFIDENCE
  if not path.is_file():
    raise InputError(
      f'{path}: not there; run `python -m rppg_tf.evaluate '
      f'--run_dir={run_dir} --data_dir=DIR`, which chooses the threshold'
    )
  content = files.read_json(path)
  threshold = content.get('threshold') if isinstance(content, dict) else None
  if not isinstance(threshold, int | float) or not math.isfinite(threshold):
    raise InputError(
      f'{path}: expected {{"threshold": number}}; run rppg_tf.evaluate again'
    )
  return float(threshold)
