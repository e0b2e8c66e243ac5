"""Heads that are trained on patches, videos or both, and tested on videos.

Through the CNN of one run, which never saw a patch.
"""

import dataclasses
import pathlib

import numpy as np
import pandas
import tqdm

from rppg_tf import contract, run_directory
from rppg_tf.data import clips, dataset, pipeline
from rppg_tf.errors import InputError
from rppg_tf.evaluation import runs, windows
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference import estimators
from rppg_tf.keras_compat import keras, tf
from rppg_tf.model import loading, network
from rppg_tf.signals import chrominance
from rppg_tf.synthesis import patches as roi_patches
from rppg_tf.training import objective, sources

_PATCH_SEED = 1


@dataclasses.dataclass(frozen=True)
class Recipe:
  """What a head learns from.

  Attributes:
    patches: whether from patches.
    videos: whether from the videos that the run was trained on.
    without: ingredients left out of the patches.
    colour: whether it may see the mid-face colour, in training and in test.
  """

  patches: bool = True
  videos: bool = False
  without: frozenset[str] = frozenset()
  colour: bool = True


@dataclasses.dataclass(frozen=True)
class Case:
  """What all heads share.

  Attributes:
    flags: of the run.
    spatial_cnn: of the run.
    quantisation: (scale, zero_point) of its input.
    tests: recordings to test on, `features` in place of their frames.
    videos: what the run was trained on, encoded, and how many; or None.
  """

  flags: dict
  spatial_cnn: keras.Model
  quantisation: tuple[float, int]
  tests: list[dict]
  videos: tuple[tf.data.Dataset, int] | None


def open_case(
  run_dir: pathlib.Path, test_data_dir: str, data_dir: str | None
) -> Case:
  """Loads a run, and encodes recordings by its CNN.

  Args:
    run_dir: whose CNN.
    test_data_dir: the --data_dir of a build; all its recordings are tested on.
    data_dir: of what the run was trained on; None for patches alone.

  Raises:
    InputError: the run has no pulse head.
  """
  values = run_directory.read_flags(run_dir)
  if values['head'] != 'pulse':
    raise InputError(
      f'{run_dir}: has a {values["head"]} head; give a pulse one'
    )
  spatial_cnn, _ = loading.load_float(run_dir)
  quantisation = run_directory.input_quantisation(run_dir)
  videos = None
  if data_dir:
    subjects = runs.subjects_of(run_dir, data_dir, 'train')
    prepared = sources.prepared_recordings(
      data_dir,
      values['roi_geometry'],
      values['background'],
      subjects,
      cache='none',
    )
    encoded = sources.encoded_recordings(prepared, spatial_cnn, quantisation)
    videos = encoded, len(subjects)
  tests = _encoded_tests(run_dir, test_data_dir, values, spatial_cnn)
  return Case(values, spatial_cnn, quantisation, tests, videos)


def _encoded_tests(
  run_dir: pathlib.Path, data_dir: str, values: dict, spatial_cnn: keras.Model
) -> list[dict]:
  quantisation = run_directory.input_quantisation(run_dir)
  subjects = runs.subjects_of(run_dir, data_dir, 'all')
  examples = dataset.load_recordings(data_dir, values['roi_geometry'], subjects)
  encode = tf.function(spatial_cnn, reduce_retracing=True)
  bar = tqdm.tqdm(
    examples.as_numpy_iterator(), total=len(subjects), unit='test recording'
  )
  tests = []
  for example in bar:
    if inference_estimates.first_estimate_s(example['timestamp_s']) is None:
      continue
    example = estimators.with_codes(example, values['background'])
    features = estimators.float_features(encode, quantisation, example['codes'])
    features = chrominance.append(features, example['chrominance'])
    names = ('subject', 'timestamp_s', 'heart_rate_bpm')
    kept = {name: example[name] for name in names}
    tests.append({**kept, 'features': features})
  return tests


def training_data(
  case: Case, recipe: Recipe, num_patches: int
) -> tuple[tf.data.Dataset, int]:
  """Returns encoded recordings, cached, and how many there are.

  Args:
    case: of open_case.
    recipe: what is among them.
    num_patches: recordings of 20 s to render as patches.
  """
  parts = []
  if recipe.videos:
    parts.append(case.videos)
  if recipe.patches:
    source = roi_patches.PatchSource(_PATCH_SEED, without=recipe.without)
    patches = sources.patch_recordings(source, num_patches)
    patches = pipeline.prepare(patches, case.flags['background'])
    patches = sources.encoded_recordings(
      patches, case.spatial_cnn, case.quantisation
    )
    parts.append((patches, num_patches))
  recordings, num = parts[0]
  for more, more_num in parts[1:]:
    recordings, num = recordings.concatenate(more), num + more_num
  if not recipe.colour:
    recordings = recordings.map(
      lambda item: {**item, 'features': _without_colour(item['features'])}
    )
  # Renders and encodes, once for all seeds.
  for _ in recordings:
    pass
  return recordings, num


def _without_colour(features):
  """Float [frames, 52] with 0 for what stands still: no colour moves."""
  kept = np.arange(contract.NUM_FRAME_FEATURES) < contract.NUM_ROI_FEATURES
  return features * kept.astype(np.float32)


def trained(
  case: Case, recordings: tf.data.Dataset, num: int, epochs: int, seed: int
) -> keras.Model:
  """Returns a head after the last epoch: nothing chooses among epochs.

  Args:
    case: of open_case.
    recordings: of training_data.
    num: how many.
    epochs: to train.
    seed: of weights and clips.
  """
  keras.utils.set_random_seed(seed)
  head = network.build_head('pulse', **loading.head_arguments(case.flags))
  joined = network.build_head_network(head)
  steps = clips.steps_per_epoch(
    num, objective.HEAD_CLIPS_PER_RECORDING, objective.HEAD_BATCH_SIZE
  )
  objective.compile_network(
    joined,
    case.flags['learning_rate'],
    steps * epochs,
    case.flags['pulse_loss_weight'],
    case.flags['rate_loss_weight'],
  )
  train = pipeline.training_clips(
    recordings,
    clips.clip_shape('pulse', 1, 1),
    objective.HEAD_BATCH_SIZE,
    objective.HEAD_CLIPS_PER_RECORDING,
    seed,
  )
  joined.fit(train, epochs=epochs, verbose=0)
  return head


def tested(case: Case, recipe: Recipe, head: keras.Model) -> pandas.DataFrame:
  """Returns windows.window_rows of all test recordings."""
  parts = []
  for recording in case.tests:
    features = recording['features']
    if not recipe.colour:
      features = _without_colour(features)
    estimates = estimators.head_estimates(
      head, features, recording['timestamp_s']
    )
    parts.append(windows.window_rows(recording, {'model': estimates}, np.nan))
  return windows.joined(parts)
