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

import pathlib

import pandas
from absl import flags

from rppg_tf import files, run_directory
from rppg_tf.entry_point import run
from rppg_tf.evaluation import tables, windows
from rppg_tf.synthesis import patches as roi_patches
from tools.studies import patch_training
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


def main() -> None:
  """Trains, tests, prints, writes."""
  output_dir = pathlib.Path(_OUTPUT_DIR.value)
  output_dir.mkdir(parents=True, exist_ok=True)
  case = patch_training.open_case(
    pathlib.Path(_RUN_DIR.value), _TEST_DATA_DIR.value, _DATA_DIR.value
  )
  # Before all the work: it is read again for the table.
  tables.groups_of_rows(
    pandas.DataFrame(
      {'subject': [test['subject'].decode() for test in case.tests]}
    ),
    _RECORDINGS_DIR.value,
  )
  rows = {}
  for name, recipe in _recipes().items():
    data = patch_training.training_data(case, recipe, _PATCH_RECORDINGS.value)
    rows[name] = []
    for seed in range(1, _SEEDS.value + 1):
      head = patch_training.trained(case, *data, _EPOCHS.value, seed)
      rows[name].append(patch_training.tested(case, recipe, head))
    errors = [windows.errors(found, 'model') for found in rows[name]]
    shown = ', '.join(f'{found["mae_bpm"]:.2f}' for found in errors)
    print(f'{name}: MAE {shown} BPM', flush=True)
  results = patch_comparison.results(rows, _RECORDINGS_DIR.value)
  files.write_json(output_dir / 'patches.json', results)
  table = patch_comparison.table(results)
  files.write_bytes(output_dir / 'patches.md', table.encode())
  patch_comparison.plot(output_dir / 'patches.png', results)
  print(f'\n{table}\nwritten: {output_dir}/patches.json, .md, .png')


def _recipes() -> dict[str, patch_training.Recipe]:
  """By name; the first one is what the others are held against."""
  recipes = {'patches': patch_training.Recipe()}
  for ingredient in roi_patches.INGREDIENTS:
    name = f'patches without {ingredient}'
    recipes[name] = patch_training.Recipe(without=frozenset({ingredient}))
  if _DATA_DIR.value:
    recipes['videos'] = patch_training.Recipe(patches=False, videos=True)
    recipes['videos and patches'] = patch_training.Recipe(videos=True)
    recipes['both, no mid-face colour'] = patch_training.Recipe(
      videos=True, colour=False
    )
  return recipes


if __name__ == '__main__':
  run(main)
