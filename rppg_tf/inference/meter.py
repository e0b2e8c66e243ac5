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
from rppg_tf.signals import beats, readout
from rppg_tf.video.jpeg_frame import decoded


class Estimate(NamedTuple):
  """The heart rate over the 10 s up to `time_s`, or less at first.

  Attributes:
    time_s: seconds from the first frame: 10, 11, 12, ..., and before that those
      from 3 on at which five beats are believed.
    bpm: mean heart rate; None where rejected.
    newest_bpm: over the last five beats; None where rejected or not known.
    raw_bpm: the mean heart rate, also where rejected.
    confidence: signal quality in [0, 1]: how likely raw_bpm is within 5 BPM.
  """

  time_s: float
  bpm: float | None
  newest_bpm: float | None
  raw_bpm: float
  confidence: float


class Excerpt(NamedTuple):
  """What a plot shows of one estimate.

  Attributes:
    estimate: the estimate.
    pulse: float32 [300], the 10 s that it was made of; fewer at first.
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

  An estimate is rejected (bpm None) if its confidence is below the threshold,
  or if in its 10 s no face was seen for more than 1 s: a frame without
  face_found, or more than 1 s from one frame to the next. Before 10 s what
  would be rejected is no estimate.

  Attributes:
    estimates: list of Estimate, one a second.
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
    self._reader = readout.PulseReader()
    self._pulse = np.empty(0, np.float32)
    self._num_samples = 0
    self._next_s = readout.MIN_WINDOW_S
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
    fresh = self._advance(self._last._replace(elapsed_s=end_s))
    self._reader.finish()
    return fresh

  @property
  def beats(self) -> beats.Beats:
    """Beats so far, seconds from the first frame; each is 1 s late."""
    return self._reader.beats

  def _advance(self, batch: Batch) -> list[Estimate]:
    self.elapsed_s = float(batch.elapsed_s[-1])
    result = self._backend.push(batch.codes, batch.colour, batch.elapsed_s)
    spectral = map(
      readout.Spectral,
      result.heart_rate_bpm.tolist(),
      result.confidence.tolist(),
    )
    fresh = []
    rest = result.pulse
    while self._num_samples + len(rest) >= self._next_s * contract.GRID_RATE_HZ:
      due = self._next_s * contract.GRID_RATE_HZ - self._num_samples
      self._take(rest[:due])
      rest = rest[due:]
      is_whole = self._next_s >= contract.WINDOW_S
      estimate = self._estimate(next(spectral) if is_whole else None)
      self._next_s += contract.WINDOW_STRIDE_S
      if estimate is not None:
        fresh.append(estimate)
        self._keep_best(estimate, batch)
    self._take(rest)
    self.estimates += fresh
    start_s = self._next_s - contract.WINDOW_S
    self._faceless_s = [span for span in self._faceless_s if span[1] >= start_s]
    return fresh

  def _take(self, pulse: np.ndarray) -> None:
    self._reader.push(pulse)
    self._num_samples += len(pulse)
    self._pulse = np.concatenate([self._pulse, pulse])
    self._pulse = self._pulse[-contract.WINDOW_SAMPLES :]

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

  def _estimate(self, spectral: readout.Spectral | None) -> Estimate | None:
    reading = self._reader.read(spectral)
    if reading is None:
      return None
    end_s = float(self._next_s)
    faceless = any(
      since_s < end_s and until_s >= end_s - contract.WINDOW_S
      for since_s, until_s in self._faceless_s
    )
    rejected = faceless or not reading.quality >= self._threshold
    if rejected and spectral is None:
      return None
    newest_bpm = reading.newest_bpm
    is_known = not rejected and math.isfinite(newest_bpm)
    return Estimate(
      end_s,
      None if rejected else reading.bpm,
      newest_bpm if is_known else None,
      reading.bpm,
      reading.quality,
    )

  def _keep_best(self, estimate: Estimate, batch: Batch) -> None:
    def rank(candidate: Estimate):
      return candidate.bpm is not None, candidate.confidence

    best = self.excerpt
    if batch.box is None or (best and rank(estimate) <= rank(best.estimate)):
      return
    frame_bgr = decoded(batch.frame)
    if frame_bgr is not None:
      self.excerpt = Excerpt(
        estimate, self._pulse, frame_bgr, batch.box, batch.roi_geometry
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
