"""Trained run → spatial_int8.tflite, by quantisation-aware fine-tuning.

  python -m tools.export_tflite --run_dir=build/demo/run \
    --data_dir=build/demo/data

The head is fine-tuned with the CNN, so that it learns the quantised
features. After every epoch the model is converted and the INT8 file itself
is run on the validation recordings: the one with the lowest MAE is kept.
"""

import pathlib
import sys

from absl import flags

from rppg_tf import files, run_directory
from rppg_tf.data import clips, dataset, pipeline
from rppg_tf.entry_point import run
from rppg_tf.keras_compat import keras
from rppg_tf.model import loading, network
from rppg_tf.quantisation import calibration, convert
from rppg_tf.training import objective
from tools.quantisation.keep_best import KeepBestInt8
from tools.tflite.graph import KNOWN_OPERATORS

# ROI frames that set the first ranges.
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
  split = files.read_json(run_dir / run_directory.SPLIT)
  quantisation = run_directory.input_quantisation(run_dir)
  spatial_cnn, head = loading.load_float(run_dir)
  recordings = {
    name: dataset.load_recordings(
      _DATA_DIR.value, values['roi_geometry'], split[name]
    )
    for name in ('train', 'validation')
  }
  prepared = pipeline.prepare(recordings['train'], values['background']).cache()
  num_steps = _num_steps(prepared, values) if _EPOCHS.value else 0
  pool = calibration.pool(prepared.as_numpy_iterator())
  codes = calibration.at_random(
    pool, min(_NUM_RANGE_IMAGES, len(pool.codes)), _SEED.value
  )
  aware_cnn = convert.quantisation_aware(spatial_cnn, codes, quantisation)
  keep_best = KeepBestInt8(
    aware_cnn, head, run_dir, list(recordings['validation'].as_numpy_iterator())
  )
  keep_best.on_epoch_end(-1)
  if num_steps:
    joined = network.build_network(aware_cnn, head, quantisation)
    _fine_tune(joined, prepared, num_steps, values, keep_best)
  assert keep_best.best is not None
  path = run_dir / run_directory.INT8_MODEL
  print(
    f'{path}: {path.stat().st_size:,} bytes, '
    f'{", ".join(KNOWN_OPERATORS)}; INT8 validation MAE '
    f'{keep_best.best["mae_bpm"]:.2f} BPM'
  )


def _clip_shape(values: dict) -> clips.ClipShape:
  return clips.clip_shape(
    values['head'], values['window'], values['frame_stride']
  )


def _num_steps(prepared, values: dict) -> int:
  """Returns the batches of an epoch; refuses one without any."""
  _, num_recordings = pipeline.survey(prepared, _clip_shape(values))
  return clips.steps_per_epoch(
    num_recordings, _CLIPS_PER_RECORDING.value, _BATCH_SIZE.value
  )


def _fine_tune(joined, prepared, num_steps: int, values, keep_best) -> None:
  train = pipeline.training_clips(
    prepared,
    _clip_shape(values),
    _BATCH_SIZE.value,
    _CLIPS_PER_RECORDING.value,
    _SEED.value,
  )
  objective.compile_network(
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


if __name__ == '__main__':
  run(main)
