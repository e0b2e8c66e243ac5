"""What is each ingredient of the ROI patches worth?

  python -m tools.compare_patches --test_data_dir=build/bench/made_up/data \
    --recordings_dir=build/bench/made_up/recordings \
    --data_dir=build/pretrained/data --output_dir=build/patches

Trains heads through the CNN of one run, which never saw a patch: on patches
with everything, on patches with one ingredient left out each, on the videos
that the run was trained on, on both, and on both without the mid-face colour.
Every head is then tested on whole videos, which another renderer makes; give
such as neither CNN nor head were trained on. Prints a table and writes
patches.json, patches.md and patches.png.
"""

import dataclasses
import pathlib

import numpy as np
import tqdm
from absl import flags

from rppg_tf import contract, files, run_directory
from rppg_tf.data import clips, dataset, pipeline
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.evaluation import runs, tables, windows
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference import estimators
from rppg_tf.keras_compat import keras, tf
from rppg_tf.model import loading, network
from rppg_tf.signals import chrominance
from rppg_tf.synthesis import patches as roi_patches
from rppg_tf.training import objective, sources
from tools.studies import patches as patch_comparison

_TEST_DATA_DIR = flags.DEFINE_string(
  'test_data_dir',
  None,
  'Folder given to `tfds build --data_dir`; all its recordings are tested on.',
  required=True,
)
_RECORDINGS_DIR = flags.DEFINE_string(
  'recordings_dir',
  None,
  'The --output_dir of tools.render_recordings that it was built from: says '
  'which have normal and which strong motion.',
  required=True,
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  'What the run was trained on; without it, only patches are compared.',
)
_RUN_DIR = flags.DEFINE_string(
  'run_dir', str(run_directory.PRETRAINED), 'Whose CNN, head and split.'
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Folder for the table.', required=True
)
_PATCH_RECORDINGS = flags.DEFINE_integer(
  'patch_recordings', 64, 'Of 20 s, for each head.', lower_bound=16
)
_EPOCHS = flags.DEFINE_integer('epochs', 15, 'Of each head.', lower_bound=1)
_SEEDS = flags.DEFINE_integer(
  'seeds', 2, 'Heads trained on each, with the seeds 1, 2, ...', lower_bound=1
)

_PATCH_SEED = 1


@dataclasses.dataclass(frozen=True)
class _Recipe:
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
class _Case:
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


def main() -> None:
  """Trains, tests, prints, writes."""
  output_dir = pathlib.Path(_OUTPUT_DIR.value)
  output_dir.mkdir(parents=True, exist_ok=True)
  case = _open_case(pathlib.Path(_RUN_DIR.value))
  # Before all the work: it is read again for the table.
  tables.groups_of_rows(
    [{'subject': test['subject'].decode()} for test in case.tests],
    _RECORDINGS_DIR.value,
  )
  rows = {}
  for name, recipe in _recipes().items():
    recordings, num = _training_data(case, recipe)
    rows[name] = [
      _tested(case, recipe, _trained(case, recordings, num, seed))
      for seed in range(1, _SEEDS.value + 1)
    ]
    errors = [windows.errors(found, 'model') for found in rows[name]]
    shown = ', '.join(f'{found["mae_bpm"]:.2f}' for found in errors)
    print(f'{name}: MAE {shown} BPM', flush=True)
  results = patch_comparison.results(rows, _RECORDINGS_DIR.value)
  files.write_json(output_dir / 'patches.json', results)
  table = patch_comparison.table(results)
  files.write_bytes(output_dir / 'patches.md', table.encode())
  patch_comparison.plot(output_dir / 'patches.png', results)
  print(f'\n{table}\nwritten: {output_dir}/patches.json, .md, .png')


def _recipes() -> dict[str, _Recipe]:
  """By name; the first one is what the others are held against."""
  recipes = {'patches': _Recipe()}
  for ingredient in roi_patches.INGREDIENTS:
    name = f'patches without {ingredient}'
    recipes[name] = _Recipe(without=frozenset({ingredient}))
  if _DATA_DIR.value:
    recipes['videos'] = _Recipe(patches=False, videos=True)
    recipes['videos and patches'] = _Recipe(videos=True)
    recipes['both, no mid-face colour'] = _Recipe(videos=True, colour=False)
  return recipes


def _open_case(run_dir: pathlib.Path) -> _Case:
  values = run_directory.read_flags(run_dir)
  if values['head'] != 'pulse':
    raise InputError(
      f'{run_dir}: has a {values["head"]} head; give a pulse one'
    )
  spatial_cnn, _ = loading.load_float(run_dir)
  quantisation = run_directory.input_quantisation(run_dir)
  videos = None
  if _DATA_DIR.value:
    subjects = runs.subjects_of(run_dir, _DATA_DIR.value, 'train')
    prepared = sources.prepared_recordings(
      _DATA_DIR.value,
      values['roi_geometry'],
      values['background'],
      subjects,
      cache='none',
    )
    encoded = sources.encoded_recordings(prepared, spatial_cnn, quantisation)
    videos = encoded, len(subjects)
  tests = _encoded_tests(run_dir, values, spatial_cnn, quantisation)
  return _Case(values, spatial_cnn, quantisation, tests, videos)


def _encoded_tests(run_dir, values, spatial_cnn, quantisation) -> list[dict]:
  subjects = runs.subjects_of(run_dir, _TEST_DATA_DIR.value, 'all')
  examples = dataset.load_recordings(
    _TEST_DATA_DIR.value, values['roi_geometry'], subjects
  )
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


def _training_data(case: _Case, recipe: _Recipe) -> tuple[tf.data.Dataset, int]:
  """Returns encoded recordings, cached, and how many there are."""
  parts = []
  if recipe.videos:
    parts.append(case.videos)
  if recipe.patches:
    num = _PATCH_RECORDINGS.value
    source = roi_patches.PatchSource(_PATCH_SEED, without=recipe.without)
    patches = sources.patch_recordings(source, num)
    patches = pipeline.prepare(patches, case.flags['background'])
    patches = sources.encoded_recordings(
      patches, case.spatial_cnn, case.quantisation
    )
    parts.append((patches, num))
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


def _trained(case: _Case, recordings, num: int, seed: int) -> keras.Model:
  """Returns a head after the last epoch: nothing chooses among epochs."""
  keras.utils.set_random_seed(seed)
  head = network.build_head('pulse', **loading.head_arguments(case.flags))
  joined = network.build_head_network(head)
  steps = clips.steps_per_epoch(
    num, objective.HEAD_CLIPS_PER_RECORDING, objective.HEAD_BATCH_SIZE
  )
  objective.compile_network(
    joined,
    case.flags['learning_rate'],
    steps * _EPOCHS.value,
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
  joined.fit(train, epochs=_EPOCHS.value, verbose=0)
  return head


def _tested(case: _Case, recipe: _Recipe, head: keras.Model) -> list[dict]:
  """Returns evaluation.window_rows of all test recordings."""
  rows = []
  for recording in case.tests:
    features = recording['features']
    if not recipe.colour:
      features = _without_colour(features)
    estimates = estimators.head_estimates(
      head, features, recording['timestamp_s']
    )
    rows += windows.window_rows(recording, {'model': estimates}, np.nan)
  windows.check_any(rows)
  return rows


if __name__ == '__main__':
  run(main)
