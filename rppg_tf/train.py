"""Trains the spatial CNN and a head on recordings that `tfds build` wrote.

  python -m rppg_tf.train --flagfile=rppg_tf/flagfiles/demo.flags \
    --data_dir=build/demo/data --run_dir=build/demo/run

The same command again resumes a run that was killed, from its last epoch.
"""

import dataclasses
import pathlib
import sys
import tempfile

import tensorflow as tf
from absl import flags

from rppg_tf import files, run_directory
from rppg_tf.data import clips, dataset, pipeline, splits
from rppg_tf.data import window_split as data_window_split
from rppg_tf.distillation import network as distillation_network
from rppg_tf.distillation import teacher
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.evaluation import window_split
from rppg_tf.keras_compat import keras
from rppg_tf.model import loading, network
from rppg_tf.model.spatial_cnn import build_spatial_cnn
from rppg_tf.signals import background
from rppg_tf.synthesis import patches
from rppg_tf.training import distribution, objective, sources
from rppg_tf.training.keep_best import KeepBest

_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder given to `tfds build --data_dir`.', required=True
)
_RUN_DIR = flags.DEFINE_string(
  'run_dir', None, 'Folder that the run is written to.', required=True
)
_HEAD = flags.DEFINE_enum(
  'head',
  'pulse',
  network.HEADS,
  'pulse: pulse wave, then its spectrum over 10 s. window: '
  "UltraLightRPPG's own, a few frames straight to BPM.",
)
_WIDTH = flags.DEFINE_integer(
  'width',
  1,
  "How many times the usual channels the CNN's and the pulse head's hidden "
  'layers have. More than 1 is for teachers (--teacher).',
  lower_bound=1,
)
flags.DEFINE_integer(
  'window', 8, 'Frames the window head looks at.', lower_bound=1
)
flags.DEFINE_integer(
  'frame_stride',
  1,
  'Samples (1/30 s) from one of those frames to the next.',
  lower_bound=1,
)
flags.DEFINE_enum(
  'background',
  'normalise',
  background.MODES,
  'normalise: divide out what stands still, before int8. none: raw pixels.',
)
flags.DEFINE_enum(
  'roi_geometry', 'inner', ('inner', 'original'), 'Which dataset to read.'
)
_NUM_FOLDS = flags.DEFINE_integer(
  'num_folds',
  0,
  'Cross-validation by subject in this many folds; 0: the splits of the data.',
  lower_bound=0,
)
_FOLD = flags.DEFINE_integer(
  'fold', 0, 'Which fold to test on; the next one validates.', lower_bound=0
)
_SPLIT_BY = flags.DEFINE_enum(
  'split_by',
  'subject',
  ('subject', 'window'),
  'window: the leaky protocol, which puts windows of one recording on both '
  'sides; only to make a number of that kind again.',
)
_EPOCHS = flags.DEFINE_integer('epochs', 12, 'Epochs.', lower_bound=1)
_HEAD_EPOCHS = flags.DEFINE_integer(
  'head_epochs',
  0,
  'Epochs of a new head on the features of the CNN that came out, with many '
  'more clips than both are trained on together; 0: the head stays.',
  lower_bound=0,
)
_BATCH_SIZE = flags.DEFINE_integer(
  'batch_size', 4, 'Clips of 11 s in a batch (0.8 GB each).', lower_bound=1
)
_CLIPS_PER_RECORDING = flags.DEFINE_integer(
  'clips_per_recording', 1, 'Clips cut in an epoch.', lower_bound=1
)
_LEARNING_RATE = flags.DEFINE_float(
  'learning_rate', 2e-3, 'Highest learning rate of Adam.', lower_bound=0.0
)
_PULSE_LOSS_WEIGHT = flags.DEFINE_float(
  'pulse_loss_weight', 2.0, 'Weight of 1 - Pearson.', lower_bound=0.0
)
_RATE_LOSS_WEIGHT = flags.DEFINE_float(
  'rate_loss_weight', 1.0, 'Weight of the cross entropy.', lower_bound=0.0
)
_TEACHER = flags.DEFINE_string(
  'teacher',
  None,
  'Whom to learn from beside the labels: a run directory, a model (.keras, '
  '.h5, .tflite) or a table of predictions (.npz, .csv; '
  'docs/from_pytorch.md). It is asked of the training recordings; where it '
  'says nothing, for --patch_recordings and in validation the labels count '
  'alone.',
)
_TEACHER_WEIGHT = flags.DEFINE_float(
  'teacher_weight',
  0.5,
  'Share of the teacher in the loss of heart rate, distribution and pulse; '
  'the labels have the rest.',
  lower_bound=0.0,
  upper_bound=1.0,
)
_TEACHER_TEMPERATURE = flags.DEFINE_float(
  'teacher_temperature',
  2.0,
  'At which distributions of rates are compared; above 1 what is improbable '
  'counts more.',
  lower_bound=0.1,
)
_TEACHER_FEATURE_WEIGHT = flags.DEFINE_float(
  'teacher_feature_weight',
  0.5,
  "Weight of 1 - Pearson of the CNN's features and the teacher's, where it "
  'gives any, as a run does; not in --head_epochs.',
  lower_bound=0.0,
)
_PATCH_RECORDINGS = flags.DEFINE_integer(
  'patch_recordings',
  0,
  'Recordings of 20 s to render as ROI patches '
  '(rppg_tf/synthesis/patches.py) and '
  'to train the new head on, beside those of --data_dir.',
  lower_bound=0,
)
_TEXTURE_DIR = flags.DEFINE_string(
  'texture_dir',
  None,
  "Photographs to cut the patches' textures from; default: scikit-image's.",
)
_GROUND_TRUTH_DIR = flags.DEFINE_string(
  'ground_truth_dir',
  None,
  'Real PPG and time stamps for the patches, DIR/subjectN/ground_truth.txt; '
  'default: made up.',
)
_PATCHES_WITHOUT = flags.DEFINE_multi_enum(
  'patches_without',
  [],
  patches.INGREDIENTS,
  'What to leave out of the patches, to measure what it is worth.',
)
_SEED = flags.DEFINE_integer('seed', 1, 'Of weights, clips, augmentation.')

_CACHE = flags.DEFINE_enum(
  'cache',
  'memory',
  sources.CACHES,
  'memory: recordings are read once and kept (12 kB a frame). none: they are '
  "read and prepared every epoch, a few at a time; the frames' features that "
  '--head_epochs are trained on are kept (0.2 kB a frame).',
)
_DISTRIBUTION = flags.DEFINE_enum(
  'distribution',
  'none',
  distribution.KINDS,
  'mirrored: a replica on each GPU. multi_worker: one in each process of '
  "TF_CONFIG's cluster, all started with the same flags and one --run_dir "
  '(docs/scale.md). --batch_size is that of all replicas together.',
)


def main() -> None:
  """Trains, saves the best weights, prints the validation errors."""
  _check_flags()
  # Before anything else of TensorFlow's is called, as it demands.
  strategy = distribution.strategy(_DISTRIBUTION.value, _BATCH_SIZE.value)
  split = _split()
  columns = _teacher_columns(split)
  # Here, and not before a teacher has drawn weights of its own: whether model
  # or table, the student is the same.
  keras.utils.set_random_seed(_SEED.value)
  run_directory.check_same(pathlib.Path(_RUN_DIR.value), _flag_values(), split)
  if distribution.is_chief(strategy):
    run_dir = pathlib.Path(_RUN_DIR.value)
    _train(strategy, run_dir, split, columns)
    return
  # Reading the weights needs every worker, writing them one.
  with tempfile.TemporaryDirectory() as folder:
    _train(strategy, pathlib.Path(folder), split, columns)


def _train(
  strategy: tf.distribute.Strategy,
  run_dir: pathlib.Path,
  split: dict[str, list[str]],
  columns: teacher.Columns | None,
) -> None:
  """Trains CNN and head, and the head again; run_dir is this process' own."""
  run_directory.begin(run_dir, _flag_values(), split)
  recordings = _recordings(split, columns)
  # This pass over the recordings also fills the cache.
  train_mean_bpm, num_recordings = pipeline.survey(
    recordings['train'], _clip_shape()
  )
  with strategy.scope():
    spatial_cnn = build_spatial_cnn(
      width=_WIDTH.value, synchronised=strategy.num_replicas_in_sync > 1
    )
    head = _build_head()
    counts = {
      'spatial_cnn': spatial_cnn.count_params(),
      'head': head.count_params(),
    }
    print(run_directory.describe_parameters(counts), flush=True)
    best_mae_bpm = _fit(
      spatial_cnn, head, run_dir, recordings, num_recordings, columns
    )
  if _HEAD_EPOCHS.value:
    best_mae_bpm = _fit_head(run_dir, recordings, num_recordings, columns)
  metrics = {
    'parameters': {**counts, 'total': sum(counts.values())},
    'train_mean_bpm': train_mean_bpm,
    'validation_mae_bpm': best_mae_bpm,
  }
  files.write_json(run_dir / 'metrics.json', metrics)
  print(
    f'validation MAE {best_mae_bpm:.2f} BPM ({_validated_on()}); run: {run_dir}'
  )


def _check_flags() -> None:
  """Refuses flags that cannot be had together."""
  if _PATCH_RECORDINGS.value and not _HEAD_EPOCHS.value:
    raise InputError('--patch_recordings: needs --head_epochs')
  if _CACHE.value == 'none' and _SPLIT_BY.value == 'window':
    raise InputError('--cache=none: not with --split_by=window')
  if _HEAD_EPOCHS.value and _DISTRIBUTION.value == 'multi_worker':
    raise InputError(
      '--head_epochs: not with --distribution=multi_worker; give '
      '--head_epochs=0, and train the head by the same command with '
      '--distribution=none afterwards'
    )


def _flag_values() -> dict:
  module_flags = flags.FLAGS.get_flags_for_module(sys.modules[__name__])
  return {flag.name: flag.value for flag in module_flags}


def _split() -> dict[str, list[str]]:
  """Returns the subjects of train, validation and test."""
  by_split = dataset.subjects_by_split(
    _DATA_DIR.value, flags.FLAGS.roi_geometry
  )
  everyone = sorted(name for names in by_split.values() for name in names)
  if _SPLIT_BY.value == 'window':
    if _HEAD.value != 'window':
      raise InputError(
        '--split_by=window: only with --head=window; windows of 10 s are too '
        'few to be split so'
      )
    if _HEAD_EPOCHS.value:
      raise InputError('--head_epochs: not with --split_by=window')
    if _NUM_FOLDS.value:
      raise InputError('--num_folds is by subject: not with --split_by=window')
    print(f'warning: {data_window_split.WARNING}', flush=True)
    return dict.fromkeys(splits.SPLITS, everyone)
  if _NUM_FOLDS.value:
    by_split = splits.fold_split(everyone, _NUM_FOLDS.value, _FOLD.value)
  for name in ('train', 'validation'):
    if not by_split.get(name):
      raise InputError(
        f'{_DATA_DIR.value}: no subject to use for {name}; add recordings or '
        'give --num_folds'
      )
  return by_split


def _teacher_columns(split: dict[str, list[str]]) -> teacher.Columns | None:
  """Asks the teacher, if there is one, of the training recordings."""
  if not _TEACHER.value:
    return None
  if _SPLIT_BY.value == 'window':
    raise InputError('--teacher: not with --split_by=window')
  columns = teacher.columns(
    pathlib.Path(_TEACHER.value),
    _DATA_DIR.value,
    flags.FLAGS.roi_geometry,
    split,
  )
  if not _TEACHER_FEATURE_WEIGHT.value:
    for said in columns:
      said.pop('features', None)
  return columns


def _recordings(
  split: dict[str, list[str]], columns: teacher.Columns | None
) -> dict[str, tf.data.Dataset]:
  """Returns what is trained and validated on; the latter without a teacher."""
  source = (
    _DATA_DIR.value,
    flags.FLAGS.roi_geometry,
    flags.FLAGS.background,
  )
  return {
    name: sources.prepared_recordings(
      *source, split[name], said, _CACHE.value, _SEED.value
    )
    for name, said in (('train', columns), ('validation', None))
  }


def _patches(columns: teacher.Columns | None) -> tf.data.Dataset:
  source = patches.PatchSource(
    _SEED.value,
    texture_dir=_TEXTURE_DIR.value,
    ground_truth_dir=_GROUND_TRUTH_DIR.value,
    without=frozenset(_PATCHES_WITHOUT.value),
  )
  recordings = sources.patch_recordings(source, _PATCH_RECORDINGS.value)
  if columns is not None:
    recordings = teacher.attach_nothing(recordings, columns)
  return pipeline.prepare(recordings, flags.FLAGS.background)


def _validated_on() -> str:
  if _SPLIT_BY.value == 'window':
    return data_window_split.WARNING
  return 'clips of validation subjects'


def _build_head() -> keras.Model:
  arguments = loading.head_arguments(_flag_values())
  return network.build_head(_HEAD.value, **arguments)


def _clip_shape() -> clips.ClipShape:
  shape = clips.clip_shape(
    _HEAD.value, flags.FLAGS.window, flags.FLAGS.frame_stride
  )
  return dataclasses.replace(shape, teacher_weight=_TEACHER_WEIGHT.value)


def _fit(
  spatial_cnn, head, run_dir, recordings, num_recordings: int, columns
) -> float:
  """Trains both; returns the validation MAE of the weights kept, BPM."""
  num_steps = clips.steps_per_epoch(
    num_recordings, _CLIPS_PER_RECORDING.value, _BATCH_SIZE.value
  )
  train, validation = _clips(recordings)
  joined = network.build_network(
    spatial_cnn, head, background.input_quantisation(flags.FLAGS.background)
  )
  parts = {
    run_directory.SPATIAL_WEIGHTS: spatial_cnn,
    run_directory.HEAD_WEIGHTS: head,
  }
  # Of all workers: they resume from what the first one has written.
  shared = pathlib.Path(_RUN_DIR.value)
  keep_best = KeepBest(parts, run_dir, shared / 'history.csv')
  callbacks = [
    keras.callbacks.BackupAndRestore(
      str(shared / 'backup'), delete_checkpoint=False
    ),
    keep_best,
    keras.callbacks.CSVLogger(str(run_dir / 'history.csv'), append=True),
    keras.callbacks.TensorBoard(str(run_dir / 'tensorboard')),
  ]
  said = teacher.num_values(columns)
  epochs = _EPOCHS.value
  _run_epochs(joined, said, train, validation, num_steps, epochs, callbacks)
  return keep_best.best_mae_bpm


def _clips(
  recordings: dict[str, tf.data.Dataset],
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
  """Returns batches of what CNN and head are trained and validated on."""
  cutter = window_split if _SPLIT_BY.value == 'window' else clips
  mixed = {}
  if _CACHE.value == 'none':
    mixed['num_mixed'] = pipeline.MIXED_AS_READ
  train = cutter.training_clips(
    recordings['train'],
    _clip_shape(),
    _BATCH_SIZE.value,
    _CLIPS_PER_RECORDING.value,
    _SEED.value,
    **mixed,
  )
  validation = cutter.validation_clips(
    recordings['validation'],
    _clip_shape(),
    _BATCH_SIZE.value,
    tf.distribute.get_strategy().num_replicas_in_sync,
  )
  return train, validation


def _fit_head(
  run_dir: pathlib.Path, recordings, num_recordings: int, columns
) -> float:
  """Trains a new head on the CNN kept; returns its validation MAE, BPM."""
  spatial_cnn, _ = loading.load_float(run_dir)
  quantisation = background.input_quantisation(flags.FLAGS.background)
  if _PATCH_RECORDINGS.value:
    num_recordings += _PATCH_RECORDINGS.value
    recordings = recordings | {
      'train': recordings['train'].concatenate(_patches(columns))
    }
  train, validation = (
    sources.encoded_recordings(recordings[name], spatial_cnn, quantisation)
    for name in ('train', 'validation')
  )
  # This pass renders, encodes and fills the cache: training then has the
  # cores to itself.
  for _ in train:
    pass
  per_recording = objective.HEAD_CLIPS_PER_RECORDING
  batch_size = min(objective.HEAD_BATCH_SIZE, num_recordings * per_recording)
  train = pipeline.training_clips(
    train, _clip_shape(), batch_size, per_recording, _SEED.value
  )
  validation = pipeline.validation_clips(validation, _clip_shape(), 1)
  head = _build_head()
  num_steps = clips.steps_per_epoch(num_recordings, per_recording, batch_size)
  history = run_dir / 'head_history.csv'
  history.unlink(missing_ok=True)
  parts = {run_directory.HEAD_WEIGHTS: head}
  keep_best = KeepBest(parts, run_dir, history)
  callbacks = [keep_best, keras.callbacks.CSVLogger(str(history))]
  joined = network.build_head_network(head)
  # The features are what the CNN has made of them.
  said = teacher.num_values(columns)
  said.pop('features', None)
  epochs = _HEAD_EPOCHS.value
  _run_epochs(joined, said, train, validation, num_steps, epochs, callbacks)
  return keep_best.best_mae_bpm


def _run_epochs(
  joined, said, train, validation, num_steps: int, epochs: int, callbacks
) -> None:
  """Compiles for this many steps an epoch, and fits.

  Args:
    joined: CNN and head, or the head.
    said: of teacher.num_values, what of a teacher it is held against.
    train, validation: clips.
    num_steps: in an epoch.
    epochs: how many.
    callbacks: of Keras.
  """
  teacher_loss = None
  if said:
    joined = distillation_network.with_teacher(joined, said)
    teacher_loss = objective.TeacherLoss(
      'rate_probability' in said,
      _TEACHER_TEMPERATURE.value,
      _TEACHER_FEATURE_WEIGHT.value,
    )
  objective.compile_network(
    joined,
    _LEARNING_RATE.value,
    num_steps * epochs,
    _PULSE_LOSS_WEIGHT.value,
    _RATE_LOSS_WEIGHT.value,
    teacher_loss,
  )
  joined.fit(
    distribution.sharded(train),
    validation_data=distribution.sharded(validation),
    epochs=epochs,
    verbose=1 if sys.stdout.isatty() else 2,
    callbacks=callbacks,
  )


if __name__ == '__main__':
  run(main)
