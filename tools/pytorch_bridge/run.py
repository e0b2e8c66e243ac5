"""best_model.pth ↔ a run directory of the window head on raw pixels."""

import importlib.metadata
import io
import pathlib
import tempfile

import numpy as np
import torch

from rppg_tf import contract, run_directory
from rppg_tf.data import clips, dataset, pipeline
from rppg_tf.errors import InputError
from rppg_tf.files import write_bytes, write_json
from rppg_tf.inference import estimators
from rppg_tf.keras_compat import keras
from rppg_tf.model import loading
from rppg_tf.signals import background
from tools.pytorch_bridge import weights
from tools.pytorch_bridge.checkpoint import State, read_state
from tools.pytorch_bridge.ultralight_rppg import UltraLightRPPG

NUM_CHECKED = 1000
_BATCH = 50
# float32 in another order of summation stays far below; a mistake does not.
_MAX_DIFFERENCE_BPM = 1e-3
_PACKAGES = ('tensorflow', 'tf_keras', 'torch', 'numpy')
# Of rppg_tf.train, as export_tflite reads them.
_LOSS_WEIGHTS = {'pulse_loss_weight': 2.0, 'rate_loss_weight': 1.0}


def import_weights(
  pth: pathlib.Path,
  run_dir: pathlib.Path,
  data_dir: str,
  roi_geometry: str,
  place: str | None = None,
) -> tuple[float, State]:
  """Makes a run directory of the weights in a checkpoint.

  Args:
    pth: the checkpoint.
    run_dir: to be written; must not be there yet.
    data_dir: of a build; its splits become the run's.
    roi_geometry: the dataset's configuration, `inner` or `original`.
    place: which weights of several, as read_state takes it.

  Returns:
    max |Keras - PyTorch| over NUM_CHECKED random windows, BPM, and what was
    read.

  Raises:
    InputError: as read_state; another model's weights, no such data, run_dir
      is there.
  """
  if run_dir.exists():
    raise InputError(f'{run_dir}: already there; give another --run_dir')
  read = read_state(pth, place)
  state = read.arrays
  try:
    cnn, head = weights.to_keras(state)
  except InputError as error:
    raise InputError(f'{pth}: {error}') from None
  split = _split(data_dir, roi_geometry)
  difference_bpm = _checked(cnn, head, state)
  recordings = dataset.load_recordings(data_dir, roi_geometry, split['train'])
  train_mean_bpm, _ = pipeline.survey(recordings, clips.ClipShape())
  counts = {'spatial_cnn': cnn.count_params(), 'head': head.count_params()}
  metrics = {
    'parameters': {**counts, 'total': sum(counts.values())},
    'train_mean_bpm': train_mean_bpm,
  }
  values = _flags(head) | {
    'roi_geometry': roi_geometry,
    'data_dir': data_dir,
    'run_dir': str(run_dir),
    'imported_from': str(pth),
  }
  files = {
    run_directory.FLAGS: values,
    run_directory.SPLIT: split,
    run_directory.METRICS: metrics,
    run_directory.VERSIONS: {
      name: importlib.metadata.version(name) for name in _PACKAGES
    },
  }
  _write_run(run_dir, files, cnn, head)
  return difference_bpm, read


def _split(data_dir: str, roi_geometry: str) -> dict[str, list[str]]:
  """Returns the subjects of the data's splits."""
  split = dataset.subjects_by_split(data_dir, roi_geometry)
  for name in ('train', 'validation'):
    if not split.get(name):
      raise InputError(f'{data_dir}: no subject to use for {name}')
  return split


def _flags(head: keras.Model) -> dict:
  """Returns what rppg_tf.train would have been told to train such a model."""
  return {
    'head': 'window',
    'window': head.get_layer('windows').length,
    'frame_stride': 1,
    'background': 'none',
    'split_by': 'subject',
    **_LOSS_WEIGHTS,
  }


def export_weights(run_dir: pathlib.Path, pth: pathlib.Path) -> float:
  """Writes the state_dict of a run's float model.

  Returns:
    max |Keras - PyTorch| over NUM_CHECKED random windows, BPM.

  Raises:
    InputError: the run has another head, or is not one.
  """
  values = run_directory.read_flags(run_dir)
  if values['head'] != 'window':
    raise InputError(
      f'{run_dir}: has the {values["head"]} head, which UltraLightRPPG has '
      'not; give a run with --head=window'
    )
  if values['width'] != 1:
    raise InputError(
      f'{run_dir}: is {values["width"]} times as wide as UltraLightRPPG; give '
      'a run with --width=1'
    )
  cnn, head = loading.load_float(run_dir)
  state = weights.from_keras(cnn, head)
  difference_bpm = _checked(cnn, head, state)
  content = io.BytesIO()
  torch.save(
    {name: torch.from_numpy(one) for name, one in state.items()}, content
  )
  pth.parent.mkdir(parents=True, exist_ok=True)
  write_bytes(pth, content.getvalue())
  return difference_bpm


def _write_run(run_dir: pathlib.Path, files: dict, cnn, head) -> None:
  run_dir.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=run_dir.parent, prefix='.') as folder:
    beside = pathlib.Path(folder) / run_dir.name
    beside.mkdir()
    for name, content in files.items():
      write_json(beside / name, content)
    cnn.save_weights(beside / run_directory.SPATIAL_WEIGHTS)
    head.save_weights(beside / run_directory.HEAD_WEIGHTS)
    beside.rename(run_dir)


def _checked(cnn, head, state: dict[str, np.ndarray]) -> float:
  """Returns max |Keras - PyTorch| over random windows, BPM."""
  window = head.get_layer('windows').length
  frames = random_frames(NUM_CHECKED + window - 1)
  difference = keras_bpm(cnn, head, frames) - pytorch_bpm(state, frames)
  largest_bpm = float(np.max(np.abs(difference)))
  if not largest_bpm <= _MAX_DIFFERENCE_BPM:
    raise InputError(
      f'Keras and PyTorch differ by {largest_bpm:g} BPM with these weights; '
      'are activations or layers of the model others than UltraLightRPPG has?'
    )
  return largest_bpm


def random_frames(num_frames: int, seed: int = 1) -> np.ndarray:
  """Patches of random colour with noise, uint8 (num_frames, 3, 36, 36, 3)."""
  rng = np.random.default_rng(seed)
  shape = (num_frames, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  # In each frame another colour, and noise of another deviation.
  each = (num_frames, contract.NUM_ROIS, 1, 1)
  colour = rng.uniform(0, 255, (*each, contract.NUM_CHANNELS))
  deviation = rng.uniform(0, 60, (*each, 1))
  noisy = colour + deviation * rng.standard_normal(shape, np.float32)
  return np.clip(noisy, 0, 255).astype(np.uint8)


def pytorch_bpm(state: dict[str, np.ndarray], frames: np.ndarray) -> np.ndarray:
  """Runs UltraLightRPPG on every window of frames.

  Args:
    state: of the model.
    frames: uint8 (num_frames, 3, 36, 36, 3).

  Returns:
    float32 (windows,) BPM, of windows at stride 1.
  """
  window = state['fc.0.weight'].shape[1] // contract.NUM_SPATIAL_FEATURES
  model = UltraLightRPPG(window, 'spatial.0.bias' in state)
  model.load_state_dict(
    # A copy: what is mapped from a file is not to be written to.
    {name: torch.tensor(values) for name, values in state.items()},
    strict=False,  # num_batches_tracked
  )
  model.eval()
  pixels = torch.from_numpy(frames).to(torch.float32) / 255
  # (windows, 3, 36, 36, 3, window), a view
  windows = pixels.unfold(0, window, 1).moveaxis(-1, 1)
  with torch.inference_mode():
    return torch.cat([model(part) for part in windows.split(_BATCH)]).numpy()


def keras_bpm(
  cnn: keras.Model, head: keras.Model, frames: np.ndarray
) -> np.ndarray:
  """Runs the network of a run on frames, each encoded once; as pytorch_bpm."""
  codes = background.input_codes(
    frames, np.arange(len(frames)), np.ones(len(frames), bool), 'none'
  )
  quantisation = background.input_quantisation('none')
  features = estimators.float_features(cnn, quantisation, codes)
  outputs = head(features[np.newaxis], training=False)
  return outputs['heart_rate_bpm'].numpy()[0]
