"""ROI patches over time by domain randomisation: a source of training data.

A recording here is no face but a square of skin-like texture that moves, is
lit and pulses as a face would, seen through a camera and cut by the same code
as a video (face_rois.cut_rois). Two orders of magnitude cheaper than rendering
whole videos, and varied far beyond life: a network trained on it has to find
the pulse, not a face. What each ingredient is worth stands in docs/results.md.

Examples have the form of those of tfds_ubfc, so that training mixes both.
"""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterator

import cv2
import numpy as np
import tqdm

from rppg_tf import contract
from rppg_tf.data import labels, ubfc
from rppg_tf.faces import motion as face_motion
from rppg_tf.faces import rois as face_rois
from rppg_tf.faces import stabiliser as face_stabiliser
from rppg_tf.parallel.ordered_map import ordered_map
from rppg_tf.parallel.process_pool import process_pool
from rppg_tf.synthesis import codecs, patch_motion, patch_textures
from rppg_tf.synthesis import pulse as synthetic_pulse

# What can be left out, to measure what it is worth.
INGREDIENTS = (
  'photographs',
  'regions',
  'uneven_pulse',
  'motion',
  'turning',
  'periodic_motion',
  'light',
  'box_steps',
  'noise',
  'codec',
  'pulse_less',
)

# Rms of the pulse over the mean of the skin's green light.
_PULSE_RMS = (0.0007, 0.004)
_PULSE_LESS_SHARE = 0.2
_CODEC_SHARES = {'none': 0.5, 'jpeg': 0.25, 'mpeg4': 0.1, 'h264': 0.15}
_FACE_PX = (64, 150)
# The skin is larger than the face box: it moves, and the box follows late.
_SKIN_SHARE = 1.5
_SEEN_SHARE = 1.16
_NOISE_FRAMES = 16


@dataclasses.dataclass(frozen=True)
class PatchSource:
  """What recordings are made of.

  Attributes:
    seed: of everything.
    duration_s: length of each.
    texture_dir: photographs for textures; None: scikit-image's.
    ground_truth_dir: UBFC's ground truth files for PPG and time stamps; None:
      synthetic.
    without: of INGREDIENTS, what to leave out.
  """

  seed: int
  duration_s: float = 20.0
  texture_dir: str | None = None
  ground_truth_dir: str | None = None
  without: frozenset[str] = frozenset()

  def __post_init__(self):
    unknown = sorted(self.without - set(INGREDIENTS))
    if unknown:
      raise ValueError(
        f'without: expected some of {INGREDIENTS}, got {unknown}'
      )


def render_recordings(source: PatchSource, num: int) -> Iterator[dict]:
  """Renders on all cores.

  Args:
    source: what of.
    num: how many; recording i is the same however many there are.

  Yields:
    What render_recording returns, in order.
  """
  patch_textures.photograph_paths(source.texture_dir)
  workers = min(len(os.sched_getaffinity(0)), num)
  render = functools.partial(render_recording, source)
  with (
    process_pool(workers) as pool,
    # Closed before the pool, which would wait for all that was begun.
    contextlib.closing(
      ordered_map(render, range(num), workers, pool, 2 * workers)
    ) as recordings,
  ):
    yield from tqdm.tqdm(recordings, total=num, unit='patch recording')


def render_recording(source: PatchSource, index: int) -> dict:
  """Renders one recording.

  Args:
    source: what of.
    index: which; any non-negative number.

  Returns:
    {frames: uint8 [frames, 3, 36, 36, 3], mid_face_rgb: float32 [frames, 3],
    timestamp_s: float64 [frames], ppg, heart_rate_bpm: float32 [frames],
    face_found: bool [frames], subject: bytes}, as an example of tfds_ubfc;
    heart_rate_bpm is contract.NO_PULSE_BPM where there is no pulse.

  Raises:
    InputError: a photograph that cannot be read.
    ValueError: an unusable ground truth.
  """
  cv2.setNumThreads(1)
  topics = np.random.SeedSequence([source.seed, index]).spawn(5)
  rngs = [np.random.default_rng(topic) for topic in topics]
  pulse, times = _signals(rngs[0], source)
  pulse_less = (
    rngs[0].uniform() < _PULSE_LESS_SHARE and 'pulse_less' not in source.without
  )
  without = source.without
  if pulse_less and rngs[0].uniform() < 0.4:
    without = without | {'motion'}  # a photograph, a wall
  seen = _Camera(rngs[1:], source, without, times.exposure_s)
  frames = seen.film(pulse, 0.0 if pulse_less else 1.0)
  rois, mid_face_rgb = seen.cut(frames, times.stamp_s)
  ppg = pulse.at(times.stamp_s)
  if pulse_less:
    rate_bpm = np.full(ppg.shape, contract.NO_PULSE_BPM, np.float32)
  else:
    rate_bpm = labels.heart_rate_per_frame(ppg, times.stamp_s, times.stamp_s)
  return {
    'frames': rois,
    'mid_face_rgb': mid_face_rgb,
    'timestamp_s': times.stamp_s,
    'ppg': ppg.astype(np.float32),
    'heart_rate_bpm': rate_bpm,
    'face_found': np.ones(len(rois), bool),
    'subject': f'patch{index}'.encode(),
  }


def _signals(rng, source: PatchSource):
  """PPG and camera times, synthetic or of a file of UBFC's."""
  fps = rng.uniform(23, 30) if rng.uniform() < 0.8 else rng.uniform(30, 60)
  if source.ground_truth_dir is None:
    rate_bpm = rng.uniform(46, 156)
    pulse = synthetic_pulse.synthesize_pulse(rng, source.duration_s, rate_bpm)
    return pulse, synthetic_pulse.camera_times(rng, source.duration_s, fps)
  paths = ubfc.find_ground_truths(source.ground_truth_dir)
  truth = ubfc.parse_ground_truth(paths[rng.integers(len(paths))])
  length_s = float(truth.timestamp_s[-1] - truth.timestamp_s[0])
  duration_s = min(source.duration_s, length_s)
  start_s = rng.uniform(0, length_s - duration_s)
  return (
    synthetic_pulse.pulse_from_ground_truth(truth, duration_s, start_s),
    synthetic_pulse.times_from_ground_truth(truth, duration_s, start_s),
  )


class _Camera:
  """One scene of skin, filmed, compressed and cut."""

  def __init__(self, rngs, source: PatchSource, without, exposure_s):
    skin_rng, motion_rng, self._camera_rng, self._box_rng = rngs
    self._without = without
    self._exposure_s = exposure_s
    # Even sides: codecs store colour for every second pixel.
    self._face_px = int(self._camera_rng.uniform(*_FACE_PX))
    self._seen_px = int(_SEEN_SHARE * self._face_px) // 2 * 2
    self._skin = patch_textures.make_skin(
      skin_rng,
      patch_textures.photograph_paths(source.texture_dir),
      int(_SKIN_SHARE * self._face_px),
      'photographs' not in without,
      'regions' not in without,
      'uneven_pulse' not in without,
    )
    self._pulse_rms = np.exp(skin_rng.uniform(*np.log(_PULSE_RMS)))
    self._pulse_rgb = np.array(
      [skin_rng.uniform(0.3, 0.65), 1.0, skin_rng.uniform(0.5, 0.9)]
    )
    self._scene = patch_motion.draw_scene(motion_rng, exposure_s, without)

  def film(self, pulse: synthetic_pulse.Pulse, strength: float) -> np.ndarray:
    """Renders uint8 (num_frames, side, side, 3), R, G, B.

    Args:
      pulse: of the person.
      strength: 1, or 0 to film the same without a pulse.
    """
    rng, side = self._camera_rng, self._seen_px
    swing, late = self._swing(strength)
    value = pulse.at(self._exposure_s)
    slope = pulse.slope_at(self._exposure_s)
    exposure = rng.uniform(0.6, 1.05) * rng.uniform(0.93, 1.07, 3)
    noise = self._noise()
    frames = np.empty((len(value), side, side, 3), np.uint8)
    painted = np.empty_like(self._skin.colour)
    for index in range(len(value)):
      cv2.scaleAdd(swing, -value[index], self._skin.colour, painted)
      cv2.scaleAdd(late, slope[index], painted, painted)
      image = self._moved(painted, index)
      image *= self._enlarged(self._scene.light[index])
      gloss = 255 * self._enlarged(self._scene.gloss[index])
      image += gloss[:, :, np.newaxis]
      image *= exposure.astype(np.float32)
      if noise is not None:
        image += noise[rng.integers(len(noise))] * np.sqrt(image + 8)
      np.rint(image, out=image)
      np.clip(image, 0, 255, out=image)
      frames[index] = image
    if 'codec' in self._without:
      return frames
    codec = rng.choice(list(_CODEC_SHARES), p=list(_CODEC_SHARES.values()))
    return codecs.compressed(rng, frames, codec)

  def _swing(self, strength: float):
    """What the pulse takes of each place's colour, and that times delay."""
    blood = self._skin.blood[:, :, np.newaxis]
    swing = self._skin.colour * blood * (self._pulse_rgb * self._pulse_rms)
    swing = (strength * swing).astype(np.float32)
    return swing, swing * self._skin.delay_s[:, :, np.newaxis]

  def _noise(self) -> np.ndarray | None:
    """Unit noise pictures times the camera's noise at 1 level."""
    if 'noise' in self._without:
      return None
    rng, side = self._camera_rng, self._seen_px
    noise = rng.standard_normal((_NOISE_FRAMES, side, side, 3), np.float32)
    grain = rng.uniform(0.3, 0.9)
    for picture in noise:
      cv2.GaussianBlur(picture, (0, 0), grain, dst=picture)
    noise /= noise.std()
    # 0.3 to 3 levels at mid grey.
    return noise * np.float32(np.exp(rng.uniform(*np.log([0.03, 0.26]))))

  def _enlarged(self, grid: np.ndarray) -> np.ndarray:
    side = self._seen_px
    return cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)

  def _moved(self, painted: np.ndarray, index: int) -> np.ndarray:
    """Looks up where each seen pixel's skin is."""
    shift = self._enlarged(self._scene.shift[index]) * self._face_px
    margin = (len(painted) - self._seen_px) / 2
    rows = np.arange(self._seen_px, dtype=np.float32) + np.float32(margin)
    return cv2.remap(
      painted,
      rows[np.newaxis, :] - shift[:, :, 0],
      rows[:, np.newaxis] - shift[:, :, 1],
      cv2.INTER_LINEAR,
      borderMode=cv2.BORDER_REFLECT,
    )

  def cut(self, frames: np.ndarray, stamp_s: np.ndarray):
    """Cuts ROIs and mid face where a stabilised detector would."""
    rois = np.empty(
      (len(frames), contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE), np.uint8
    )
    mid_face_rgb = np.empty((len(frames), contract.NUM_CHANNELS), np.float32)
    motion = face_motion.FaceMotion()
    for index, box in enumerate(self._boxes(stamp_s)):
      shift = motion.push(frames[index], box)
      # Cutting turns the colours around: ours are R, G, B already.
      cut, mean = face_rois.cut_rois(frames[index], box, shift=shift)
      rois[index], mid_face_rgb[index] = cut[..., ::-1], mean[::-1]
    return rois, mid_face_rgb

  def _boxes(self, stamp_s: np.ndarray) -> Iterator[face_stabiliser.Box]:
    """The box of every frame: detections jitter, the stabiliser holds."""
    rng, face_px = self._box_rng, self._face_px
    stabiliser = face_stabiliser.FaceBoxStabiliser()
    jitter_px = rng.uniform(0.005, 0.03) * face_px
    corner = (self._seen_px - face_px) / 2 + rng.normal(0, 2, 2)
    for index, time_s in enumerate(stamp_s):
      time_us = round(float(time_s) * 1e6)
      if stabiliser.is_detection_due(time_us):
        place = corner
        if 'box_steps' not in self._without:
          moved = self._scene.head[index] * face_px
          place = place + moved + rng.normal(0, jitter_px, 2)
        x, y = (int(value) for value in np.rint(place))
        size = face_px
        if 'box_steps' not in self._without:
          size += round(rng.normal(0, jitter_px))
        stabiliser.update((x, y, size, size), time_us)
      box = stabiliser.box_at(time_us)
      assert box is not None
      yield box
