"""Measurements of training; tools/benchmark runs them.

  python -m tools.benchmark_process tools.benchmarks.training ours DATA_DIR

The plain trainers hold every window, and encode all 24 ROI frames of each;
model, loss and batch are ours. Each is for a process of its own; data_dir is
that of a build.
"""

import os
import pathlib

import numpy as np

from rppg_tf import contract
from rppg_tf.data import clips, dataset, pipeline
from rppg_tf.errors import InputError
from rppg_tf.faces import rois
from rppg_tf.keras_compat import keras, tf
from rppg_tf.model import network as networks
from rppg_tf.model import spatial_cnn
from rppg_tf.quantisation import convert
from rppg_tf.signals import background
from rppg_tf.training import objective, sources
from tools.benchmarks import process

_WINDOW = contract.SEED_WINDOW_FRAMES
# As many windows as there are in one clip of rppg_tf.train: 293.
BATCH_WINDOWS = clips.ClipShape().num_samples - _WINDOW + 1
_LEARNING_RATE = 2e-3
# float32 windows of two recordings of 20 s are 0.4 GB.
_NUM_RECORDINGS = 2
WARM_UP_STEPS = 2
NUM_STEPS = WARM_UP_STEPS + 4
_SEED = 1
# rppg_tf.train's own; as many are cut of a recording in an epoch.
CLIPS_PER_BATCH = 4
_NUM_RANGE_IMAGES = 96


class StepTimer(keras.callbacks.Callback):
  """Notes when each training step has ended.

  Attributes:
    ends_s: process.now of each.
  """

  def __init__(self):
    super().__init__()
    self.ends_s: list[np.ndarray] = []

  def on_train_batch_end(self, batch, logs=None):
    """Keras calls this after every step."""
    del batch, logs
    self.ends_s.append(process.now())


def median_step_s(ends_s: list[np.ndarray]) -> np.ndarray:
  """Returns time and CPU time of a step, seconds, warm-up left out.

  Args:
    ends_s: process.now at the end of each step.
  """
  steps_s = np.diff(ends_s[WARM_UP_STEPS - 1 :], axis=0)
  return np.median(steps_s, axis=0)


def plain_windows(recording: dict) -> tuple[np.ndarray, np.ndarray]:
  """Cuts a recording into windows, as a script that keeps them all.

  Args:
    recording: of clips.load_recordings, as arrays.

  Returns:
    float32 (windows, 8, 3, 36, 36, 3) in [0, 1] at stride 1, and the heart
    rate of the middle frame of each, float32 (windows,) BPM; those whose rate
    is not known are left out.
  """
  pixels = recording['frames'].astype(np.float32) / 255
  starts = range(len(pixels) - _WINDOW + 1)
  windows = np.stack([pixels[start : start + _WINDOW] for start in starts])
  labels_bpm = recording['heart_rate_bpm'][_WINDOW // 2 :][: len(windows)]
  known = np.isfinite(labels_bpm)
  return windows[known], labels_bpm[known]


def plain_network(cnn: keras.Model, head: keras.Model) -> keras.Model:
  """Joins both parts over windows, as the obvious Keras script does.

  Args:
    cnn: of build_spatial_cnn.
    head: of build_window_head.

  Returns:
    Model float32 [batch, 8, 3, 36, 36, 3] in [0, 1] → {heart_rate_bpm:
    float32 [batch, 1]}.
  """
  shape = contract.ROI_FRAME_SHAPE
  windows = keras.Input((_WINDOW, contract.NUM_ROIS, *shape), name='windows')
  x = keras.layers.Reshape((-1, *shape), name='images')(windows)
  # [batch, 24, 36, 36, 3]
  x = keras.layers.TimeDistributed(cnn, name='encode')(x)  # [batch, 24, 16]
  x = keras.layers.Reshape(
    (_WINDOW, contract.NUM_ROI_FEATURES), name='frame_features'
  )(x)  # [batch, 8, 48]
  bpm = keras.layers.Activation('linear', name='heart_rate_bpm')(
    head(x)['heart_rate_bpm']
  )  # [batch, 1]
  return keras.Model(windows, {'heart_rate_bpm': bpm}, name='plain_network')


class _PlainBatches(keras.utils.Sequence):
  """Windows in random order, BATCH_WINDOWS at a time."""

  def __init__(self, windows: np.ndarray, labels_bpm: np.ndarray):
    self._windows = windows
    self._labels_bpm = labels_bpm
    self._order = np.random.default_rng(_SEED).permutation(len(windows))

  def __len__(self) -> int:
    return NUM_STEPS

  def __getitem__(self, index: int):
    places = np.arange(index * BATCH_WINDOWS, (index + 1) * BATCH_WINDOWS)
    chosen = self._order[places % len(self._order)]
    return self._windows[chosen], self._labels_bpm[chosen, np.newaxis]


# --- Measurements -----------------------------------------------------------


def ours(data_dir: pathlib.Path) -> dict:
  """rppg_tf.train's own steps with the window head, one clip a batch."""
  cnn = spatial_cnn.build_spatial_cnn()
  step_s, cpu_s = _clip_step_s(data_dir, cnn, 'window', 'none', num_clips=1)
  return {
    'train_windows_per_s': BATCH_WINDOWS / step_s,
    'train_cpu_ms_per_window': 1e3 * cpu_s / BATCH_WINDOWS,
  }


def plain_keras(data_dir: pathlib.Path) -> dict:
  """Windows through the same network, whole, by Keras."""
  # TensorFlow as it comes; keras_compat says what the other allocator saves.
  os.environ['TF_CPU_ALLOCATOR_USE_BFC'] = 'false'
  joined = plain_network(
    spatial_cnn.build_spatial_cnn(), networks.build_head('window')
  )
  step_s, cpu_s = keras_step_s(joined, _PlainBatches(*_all_windows(data_dir)))
  return {
    'plain_keras_windows_per_s': BATCH_WINDOWS / step_s,
    'plain_keras_cpu_ms_per_window': 1e3 * cpu_s / BATCH_WINDOWS,
  }


def plain_pytorch(data_dir: pathlib.Path) -> dict:
  """The same by PyTorch."""
  # Of the extra [pytorch]; tools/benchmark asks for this only if it is there.
  from tools.benchmarks import pytorch

  ends_s = pytorch.train(
    *_all_windows(data_dir), BATCH_WINDOWS, _LEARNING_RATE, NUM_STEPS
  )
  step_s, cpu_s = median_step_s(ends_s)
  return {
    'plain_pytorch_windows_per_s': BATCH_WINDOWS / step_s,
    'plain_pytorch_cpu_ms_per_window': 1e3 * cpu_s / BATCH_WINDOWS,
  }


def float_pulse(data_dir: pathlib.Path) -> dict:
  """Video frames through CNN and pulse head, forward and backward."""
  cnn = spatial_cnn.build_spatial_cnn()
  return {'train_float_frames_per_s': _pulse_frames_per_s(data_dir, cnn)}


def qat_pulse(data_dir: pathlib.Path) -> dict:
  """The same with quantisation simulated, as tools/export_tflite trains."""
  codes = np.random.default_rng(_SEED).integers(
    -128, 128, (_NUM_RANGE_IMAGES, *contract.ROI_FRAME_SHAPE), np.int8
  )
  cnn = convert.quantisation_aware(
    spatial_cnn.build_spatial_cnn(),
    codes,
    background.input_quantisation('normalise'),
  )
  return {'train_qat_frames_per_s': _pulse_frames_per_s(data_dir, cnn)}


def _pulse_frames_per_s(data_dir: pathlib.Path, cnn: keras.Model) -> float:
  num_clips = CLIPS_PER_BATCH
  step_s, _ = _clip_step_s(data_dir, cnn, 'pulse', 'normalise', num_clips)
  return num_clips * clips.ClipShape().num_frames / step_s


def _clip_step_s(
  data_dir: pathlib.Path,
  cnn: keras.Model,
  head: str,
  background_mode: str,
  num_clips: int,
) -> np.ndarray:
  """Trains as rppg_tf.train does; returns time and CPU time of a step."""
  joined, batches = clip_network(
    data_dir, cnn, head, background_mode, num_clips
  )
  return keras_step_s(joined, batches)


def clip_network(
  data_dir: pathlib.Path,
  cnn: keras.Model,
  head: str,
  background_mode: str,
  num_clips: int,
) -> tuple[keras.Model, tf.data.Dataset]:
  """Returns a network as rppg_tf.train joins it, and endless batches for it.

  Args:
    data_dir: of a build.
    cnn: of build_spatial_cnn.
    head: one of network.HEADS.
    background_mode: one of background.MODES.
    num_clips: in a batch.
  """
  geometry = rois.DEFAULT_ROI_GEOMETRY
  shape = clips.clip_shape(head, _WINDOW, 1)
  recordings = sources.prepared_recordings(
    str(data_dir), geometry, background_mode, _subjects(data_dir)
  )
  # The first pass fills the cache; it also says whether a clip can be cut.
  lengths = [len(item['ppg']) for item in recordings.as_numpy_iterator()]
  if max(lengths) < shape.num_frames:
    raise InputError(
      f'{data_dir}: a recording of {shape.num_frames} frames or more is '
      f'needed, the longest of {len(lengths)} has {max(lengths)}'
    )
  batches = pipeline.training_clips(
    recordings, shape, num_clips, CLIPS_PER_BATCH, _SEED
  ).repeat()
  joined = networks.build_network(
    cnn,
    networks.build_head(head),
    background.input_quantisation(background_mode),
  )
  return joined, batches


def keras_step_s(
  joined: keras.Model,
  batches,
  *callbacks: keras.callbacks.Callback,
  jit_compile: bool = False,
) -> np.ndarray:
  """Trains NUM_STEPS; returns time and CPU time of a step, seconds.

  Args:
    joined: of networks.build_network.
    batches: as many at least.
    callbacks: of Keras.
    jit_compile: whether XLA compiles the steps.
  """
  objective.compile_network(joined, _LEARNING_RATE, NUM_STEPS, 1.0, 1.0)
  joined.jit_compile = jit_compile
  timer = StepTimer()
  joined.fit(
    batches, steps_per_epoch=NUM_STEPS, verbose=0, callbacks=[timer, *callbacks]
  )
  return median_step_s(timer.ends_s)


def _all_windows(data_dir: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
  """Windows and labels of all recordings, as plain_windows."""
  recordings = dataset.load_recordings(
    str(data_dir), rois.DEFAULT_ROI_GEOMETRY, _subjects(data_dir)
  )
  parts = [plain_windows(item) for item in recordings.as_numpy_iterator()]
  windows, labels_bpm = map(np.concatenate, zip(*parts, strict=True))
  return windows, labels_bpm


def _subjects(data_dir: pathlib.Path) -> list[str]:
  """The first few; all trainers see the same."""
  by_split = dataset.subjects_by_split(str(data_dir), rois.DEFAULT_ROI_GEOMETRY)
  everyone = sorted(name for names in by_split.values() for name in names)
  return everyone[:_NUM_RECORDINGS]
