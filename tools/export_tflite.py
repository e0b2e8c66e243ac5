"""Trained run → spatial_int8.tflite, by quantisation-aware fine-tuning.

  python -m tools.export_tflite --run_dir=build/demo/run \
    --data_dir=build/demo/data

The head is fine-tuned with the CNN, so that it learns the quantised
features. After every epoch the model is converted and the INT8 file itself
is run on the validation recordings: the best of those is kept.
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf
from absl import flags

from rppg_tf import (
  background,
  clips,
  evaluation,
  network,
  quantise,
  run_directory,
  training,
)
from rppg_tf.entry_point import InputError, run
from rppg_tf.int8_cnn import Int8SpatialCnn
from rppg_tf.keras_compat import keras

# What ST's compiler has put into hardware whole (docs/architecture.md).
OPERATORS = [
  'CONV_2D',
  'MAX_POOL_2D',
  'CONV_2D',
  'MAX_POOL_2D',
  'CONV_2D',
  'MEAN',
]
_NUM_RANGE_IMAGES = 768

_RUN_DIR = flags.DEFINE_string(
  'run_dir', None, 'Run of rppg_tf.train; the files go there.', required=True
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder given to `tfds build --data_dir`.', required=True
)
_EPOCHS = flags.DEFINE_integer(
  'epochs', 3, 'Epochs of fine-tuning.', lower_bound=0
)
_BATCH_SIZE = flags.DEFINE_integer(
  'batch_size', 4, 'Clips in a batch.', lower_bound=1
)
_CLIPS_PER_RECORDING = flags.DEFINE_integer(
  'clips_per_recording', 1, 'Clips cut in an epoch.', lower_bound=1
)
_LEARNING_RATE = flags.DEFINE_float(
  'learning_rate', 2e-4, 'Highest learning rate of Adam.', lower_bound=0.0
)
_SEED = flags.DEFINE_integer('seed', 1, 'Of clips and augmentation.')


def main() -> None:
  """Fine-tunes, converts, keeps the best INT8 model, prints what it is."""
  run_dir = pathlib.Path(_RUN_DIR.value)
  keras.utils.set_random_seed(_SEED.value)
  values = run_directory.read_flags(run_dir)
  split = run_directory.read_json(run_dir / run_directory.SPLIT)
  quantisation = run_directory.input_quantisation(run_dir)
  spatial_cnn, head = run_directory.load_float(run_dir)
  recordings = {
    name: clips.load_recordings(
      _DATA_DIR.value, values['roi_geometry'], split[name]
    )
    for name in ('train', 'validation')
  }
  prepared = clips.prepare(recordings['train'], values['background']).cache()
  images = range_images(prepared, quantisation)
  aware_cnn = quantise.quantisation_aware(spatial_cnn, images, quantisation)
  keep_best = KeepBestInt8(
    aware_cnn, head, run_dir, list(recordings['validation'].as_numpy_iterator())
  )
  keep_best.on_epoch_end(-1)
  if _EPOCHS.value:
    _fine_tune(
      aware_cnn, head, prepared, len(split['train']), values, keep_best
    )
  path = run_dir / run_directory.INT8_MODEL
  print(
    f'{path}: {path.stat().st_size:,} bytes, {", ".join(OPERATORS)}; INT8 '
    f'validation MAE {keep_best.best_mae_bpm:.2f} BPM'
  )


def range_images(prepared: tf.data.Dataset, quantisation) -> np.ndarray:
  """Draws float32 [n, 36, 36, 3] inputs evenly from all recordings."""
  scale, zero_point = quantisation
  recordings = [item['codes'] for item in prepared.as_numpy_iterator()]
  per_recording = -(-_NUM_RANGE_IMAGES // len(recordings))
  drawn = []
  for codes in recordings:
    images = codes.reshape(-1, *codes.shape[-3:])
    drawn.append(images[:: max(1, len(images) // per_recording)])
  images = np.concatenate(drawn).astype(np.float32)
  return (images - zero_point) * np.float32(scale)


def _fine_tune(aware_cnn, head, prepared, num_recordings, values, keep_best):
  shape = training.clip_shape(
    values['head'], values['window'], values['frame_stride']
  )
  train = clips.training_clips(
    prepared,
    shape,
    _BATCH_SIZE.value,
    _CLIPS_PER_RECORDING.value,
    _SEED.value,
  )
  num_steps = training.steps_per_epoch(
    num_recordings, _CLIPS_PER_RECORDING.value, _BATCH_SIZE.value
  )
  joined = network.build_network(
    aware_cnn, head, background.input_quantisation(values['background'])
  )
  training.compile_network(
    joined,
    _LEARNING_RATE.value,
    num_steps * _EPOCHS.value,
    values['pulse_loss_weight'],
    values['rate_loss_weight'],
  )
  joined.fit(
    train,
    epochs=_EPOCHS.value,
    verbose=1 if sys.stdout.isatty() else 2,
    callbacks=[keep_best],
  )


class KeepBestInt8(keras.callbacks.Callback):
  """Converts after every epoch; keeps the INT8 model with the lowest MAE."""

  def __init__(self, aware_cnn, head, run_dir: pathlib.Path, validation: list):
    super().__init__()
    self._aware_cnn = aware_cnn
    self._head = head
    self._run_dir = run_dir
    self._validation = validation
    self._mode = run_directory.read_flags(run_dir)['background']
    self.best_mae_bpm = float('inf')

  def on_epoch_end(self, epoch, logs=None):
    """Keras calls this after an epoch; epoch -1 is before the first."""
    del logs
    content = quantise.convert(self._aware_cnn)
    check_operators(content)
    beside = self._run_dir / f'.{run_directory.INT8_MODEL}'
    beside.write_bytes(content)
    estimator = evaluation.int8_estimator(Int8SpatialCnn(beside), self._head)
    rows = evaluation.evaluate(
      self._validation, self._mode, {'int8': estimator}, float('nan')
    )
    mae_bpm = evaluation.summarise(rows, 'int8')['mae_bpm']
    print(f'after epoch {epoch + 1}: INT8 validation MAE {mae_bpm:.3f} BPM')
    if mae_bpm < self.best_mae_bpm:
      self.best_mae_bpm = mae_bpm
      beside.replace(self._run_dir / run_directory.INT8_MODEL)
      run_directory.save_weights(
        self._head, self._run_dir / run_directory.INT8_HEAD_WEIGHTS
      )
    else:
      beside.unlink()


def check_operators(content: bytes) -> None:
  """Refuses a model that is not the sequence known to run in hardware."""
  operators = quantise.operators(content)
  if operators != OPERATORS:
    raise InputError(
      f'{run_directory.INT8_MODEL}: expected the operators '
      f'{", ".join(OPERATORS)}, got {", ".join(operators)}'
    )


if __name__ == '__main__':
  run(main)
