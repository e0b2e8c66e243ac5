"""One training: CNN and head, then a new head on the CNN's features."""

import dataclasses
import pathlib
import sys
import tempfile

from rppg_tf import files, run_directory
from rppg_tf.data import clips, dataset, pipeline, splits, window_split
from rppg_tf.distillation import network as distillation_network
from rppg_tf.distillation import teacher
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import keras, tf
from rppg_tf.model import loading, network
from rppg_tf.model.spatial_cnn import build_spatial_cnn
from rppg_tf.signals import background
from rppg_tf.synthesis import patches
from rppg_tf.training import distribution, objective, sources
from rppg_tf.training.config import TrainConfig
from rppg_tf.training.keep_best import KeepBest


def train(config: TrainConfig) -> None:
  """Trains, saves the best weights, prints the validation errors.

  Everything goes to config.run_dir; a training that was killed resumes there
  from its last epoch.

  Raises:
    InputError: the data do not suffice, or the run is another training's.
  """
  # Before anything else of TensorFlow's is called, as it demands.
  strategy = distribution.strategy(config.distribution, config.batch_size)
  split = _split(config)
  columns = _teacher_columns(config, split)
  # Layers are numbered anew, as in a process of its own. Not before a teacher
  # has drawn weights: whether model or table, the student is the same.
  keras.backend.clear_session()
  keras.utils.set_random_seed(config.seed)
  run_dir = pathlib.Path(config.run_dir)
  run_directory.check_same(run_dir, dataclasses.asdict(config), split)
  if distribution.is_chief(strategy):
    _train(config, strategy, run_dir, split, columns)
    return
  # Reading the weights needs every worker, writing them one.
  with tempfile.TemporaryDirectory() as folder:
    _train(config, strategy, pathlib.Path(folder), split, columns)


def _train(
  config: TrainConfig,
  strategy: tf.distribute.Strategy,
  run_dir: pathlib.Path,
  split: dict[str, list[str]],
  columns: teacher.Columns | None,
) -> None:
  """Trains CNN and head, and the head again; run_dir is this process' own."""
  run_directory.begin(run_dir, dataclasses.asdict(config), split)
  recordings = _recordings(config, split, columns)
  # This pass over the recordings also fills the cache.
  train_mean_bpm, num_recordings = pipeline.survey(
    recordings['train'], _clip_shape(config)
  )
  with strategy.scope():
    spatial_cnn = build_spatial_cnn(
      width=config.width, synchronised=strategy.num_replicas_in_sync > 1
    )
    head = _build_head(config)
    counts = {
      'spatial_cnn': spatial_cnn.count_params(),
      'head': head.count_params(),
    }
    print(run_directory.describe_parameters(counts), flush=True)
    best_mae_bpm = _fit(
      config, spatial_cnn, head, run_dir, recordings, num_recordings, columns
    )
  if config.head_epochs:
    best_mae_bpm = _fit_head(
      config, run_dir, recordings, num_recordings, columns
    )
  metrics = {
    'parameters': {**counts, 'total': sum(counts.values())},
    'train_mean_bpm': train_mean_bpm,
    'validation_mae_bpm': best_mae_bpm,
  }
  files.write_json(run_dir / run_directory.METRICS, metrics)
  print(
    f'validation MAE {best_mae_bpm:.2f} BPM ({_validated_on(config)}); run: '
    f'{run_dir}'
  )


def _split(config: TrainConfig) -> dict[str, list[str]]:
  """Returns the subjects of train, validation and test."""
  by_split = dataset.subjects_by_split(config.data_dir, config.roi_geometry)
  everyone = sorted(name for names in by_split.values() for name in names)
  if config.split_by == 'window':
    print(f'warning: {window_split.WARNING}', flush=True)
    return dict.fromkeys(splits.SPLITS, everyone)
  if config.num_folds:
    by_split = splits.fold_split(everyone, config.num_folds, config.fold)
  for name in ('train', 'validation'):
    if not by_split.get(name):
      raise InputError(
        f'{config.data_dir}: no subject to use for {name}; add recordings or '
        'give --num_folds'
      )
  return by_split


def _teacher_columns(
  config: TrainConfig, split: dict[str, list[str]]
) -> teacher.Columns | None:
  """Asks the teacher, if there is one, of the training recordings."""
  if not config.teacher:
    return None
  columns = teacher.columns(
    pathlib.Path(config.teacher),
    config.data_dir,
    config.roi_geometry,
    split,
  )
  if not config.teacher_feature_weight:
    for outputs in columns:
      outputs.pop('features', None)
  return columns


def _recordings(
  config: TrainConfig,
  split: dict[str, list[str]],
  columns: teacher.Columns | None,
) -> dict[str, tf.data.Dataset]:
  """Returns what is trained and validated on; the latter without a teacher."""
  source = (
    config.data_dir,
    config.roi_geometry,
    config.background,
  )
  return {
    name: sources.prepared_recordings(
      *source, split[name], outputs, config.cache, config.seed
    )
    for name, outputs in (('train', columns), ('validation', None))
  }


def _patches(
  config: TrainConfig, columns: teacher.Columns | None
) -> tf.data.Dataset:
  source = patches.PatchSource(
    config.seed,
    texture_dir=config.texture_dir,
    ground_truth_dir=config.ground_truth_dir,
  )
  recordings = sources.patch_recordings(source, config.patch_recordings)
  if columns is not None:
    recordings = teacher.attach_missing(recordings, columns)
  return pipeline.prepare(recordings, config.background)


def _validated_on(config: TrainConfig) -> str:
  if config.split_by == 'window':
    return window_split.WARNING
  return 'clips of validation subjects'


def _build_head(config: TrainConfig) -> keras.Model:
  arguments = loading.head_arguments(dataclasses.asdict(config))
  return network.build_head(config.head, **arguments)


def _clip_shape(config: TrainConfig) -> clips.ClipShape:
  shape = clips.clip_shape(config.head, config.window, config.frame_stride)
  return dataclasses.replace(shape, teacher_weight=config.teacher_weight)


def _fit(
  config: TrainConfig,
  spatial_cnn,
  head,
  run_dir,
  recordings,
  num_recordings: int,
  columns,
) -> float:
  """Trains both; returns the validation MAE of the weights kept, BPM."""
  num_steps = clips.steps_per_epoch(
    num_recordings, config.clips_per_recording, config.batch_size
  )
  train, validation = _clips(config, recordings)
  joined = network.build_network(
    spatial_cnn, head, background.input_quantisation(config.background)
  )
  parts = {
    run_directory.SPATIAL_WEIGHTS: spatial_cnn,
    run_directory.HEAD_WEIGHTS: head,
  }
  # Of all workers: they resume from what the first one has written.
  shared = pathlib.Path(config.run_dir)
  keep_best = KeepBest(parts, run_dir, shared / run_directory.HISTORY)
  callbacks = [
    keras.callbacks.BackupAndRestore(
      str(shared / 'backup'), delete_checkpoint=False
    ),
    keep_best,
    keras.callbacks.CSVLogger(
      str(run_dir / run_directory.HISTORY), append=True
    ),
    keras.callbacks.TensorBoard(str(run_dir / 'tensorboard')),
  ]
  num_values = teacher.num_values(columns)
  epochs = config.epochs
  _run_epochs(
    config, joined, num_values, train, validation, num_steps, epochs, callbacks
  )
  return keep_best.best_mae_bpm


def _clips(
  config: TrainConfig,
  recordings: dict[str, tf.data.Dataset],
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
  """Returns batches of what CNN and head are trained and validated on."""
  cutter = window_split if config.split_by == 'window' else pipeline
  mixed = {}
  if config.cache == 'none':
    mixed['num_mixed'] = pipeline.MIXED_AS_READ
  train = cutter.training_clips(
    recordings['train'],
    _clip_shape(config),
    config.batch_size,
    config.clips_per_recording,
    config.seed,
    **mixed,
  )
  validation = cutter.validation_clips(
    recordings['validation'],
    _clip_shape(config),
    config.batch_size,
    tf.distribute.get_strategy().num_replicas_in_sync,
  )
  return train, validation


def _fit_head(
  config: TrainConfig,
  run_dir: pathlib.Path,
  recordings,
  num_recordings: int,
  columns,
) -> float:
  """Trains a new head on the CNN kept; returns its validation MAE, BPM."""
  spatial_cnn, _ = loading.load_float(run_dir)
  quantisation = background.input_quantisation(config.background)
  if config.patch_recordings:
    num_recordings += config.patch_recordings
    recordings = recordings | {
      'train': recordings['train'].concatenate(_patches(config, columns))
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
    train, _clip_shape(config), batch_size, per_recording, config.seed
  )
  validation = pipeline.validation_clips(validation, _clip_shape(config), 1)
  head = _build_head(config)
  num_steps = clips.steps_per_epoch(num_recordings, per_recording, batch_size)
  history = run_dir / run_directory.HEAD_HISTORY
  history.unlink(missing_ok=True)
  parts = {run_directory.HEAD_WEIGHTS: head}
  keep_best = KeepBest(parts, run_dir, history)
  callbacks = [keep_best, keras.callbacks.CSVLogger(str(history))]
  joined = network.build_head_network(head)
  # The features are what the CNN has made of them.
  num_values = teacher.num_values(columns)
  num_values.pop('features', None)
  epochs = config.head_epochs
  _run_epochs(
    config, joined, num_values, train, validation, num_steps, epochs, callbacks
  )
  return keep_best.best_mae_bpm


def _run_epochs(
  config: TrainConfig,
  joined,
  num_values,
  train,
  validation,
  num_steps: int,
  epochs: int,
  callbacks,
) -> None:
  """Compiles for this many steps an epoch, and fits.

  Args:
    joined: CNN and head, or the head.
    num_values: of teacher.num_values, what of a teacher it is held against.
    train, validation: clips.
    num_steps: in an epoch.
    epochs: how many.
    callbacks: of Keras.
  """
  teacher_loss = None
  if num_values:
    joined = distillation_network.with_teacher(joined, num_values)
    teacher_loss = objective.TeacherLoss(
      'rate_probability' in num_values,
      config.teacher_temperature,
      config.teacher_feature_weight,
    )
  objective.compile_network(
    joined,
    config.learning_rate,
    num_steps * epochs,
    config.pulse_loss_weight,
    config.rate_loss_weight,
    teacher_loss,
  )
  joined.fit(
    distribution.sharded(train),
    validation_data=distribution.sharded(validation),
    epochs=epochs,
    verbose=1 if sys.stdout.isatty() else 2,
    callbacks=callbacks,
  )
