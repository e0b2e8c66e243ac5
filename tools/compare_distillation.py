"""Is distillation worth it? Student alone, teacher, distilled student.

  python -m tools.compare_distillation --data_dir=build/demo/data \
    --output_dir=build/demo/distillation

Trains each with several seeds, the distilled student of a seed with the
teacher of the same seed, and reads the float models' errors on the 10 s
windows of the test subjects. Prints the table and the verdict; writes
distillation.json and distillation.md beside the runs. What was trained before
is kept, a training that was killed is resumed.

Nine trainings, three of them of a wider network: `--epochs` and `--head_epochs`
make all of them shorter, and the table says how long they were.
"""

import contextlib
import pathlib
import sys

from absl import flags

from rppg_tf import files, run_directory, training
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.evaluation import runs, windows
from rppg_tf.inference import estimators
from rppg_tf.model import loading
from tools.studies.distillation import (
  DISTILLED,
  STUDENT,
  TEACHER,
  table,
  verdict,
)

_FLAGFILES = pathlib.Path(run_directory.__file__).with_name('flagfiles')

_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder given to `tfds build --data_dir`.', required=True
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Folder for the runs and the table.', required=True
)
_SEEDS = flags.DEFINE_integer(
  'seeds', 3, 'Trainings of each, with the seeds 1, 2, ...', lower_bound=2
)
_STUDENT_FLAGFILE = flags.DEFINE_string(
  'student_flagfile', str(_FLAGFILES / 'demo.flags'), 'Of rppg_tf.train.'
)
_TEACHER_FLAGFILE = flags.DEFINE_string(
  'teacher_flagfile', str(_FLAGFILES / 'teacher.flags'), 'Of rppg_tf.train.'
)
_DISTILLED_FLAGFILE = flags.DEFINE_string(
  'distilled_flagfile', str(_FLAGFILES / 'distilled.flags'), 'Of rppg_tf.train.'
)
_EPOCHS = flags.DEFINE_integer(
  'epochs', None, 'Instead of what the flagfiles say.', lower_bound=1
)
_HEAD_EPOCHS = flags.DEFINE_integer(
  'head_epochs', None, 'Instead of what the flagfiles say.', lower_bound=0
)


def main() -> None:
  """Trains, evaluates, prints, writes."""
  output_dir = pathlib.Path(_OUTPUT_DIR.value)
  results = {name: [] for name in (STUDENT, TEACHER, DISTILLED)}
  for seed in range(1, _SEEDS.value + 1):
    run_dirs = {
      name: output_dir / f'{name.replace(" ", "_")}_seed{seed}'
      for name in results
    }
    taught_by = str(run_dirs[TEACHER])
    _train(run_dirs[STUDENT], _STUDENT_FLAGFILE.value, seed)
    _train(run_dirs[TEACHER], _TEACHER_FLAGFILE.value, seed)
    _train(
      run_dirs[DISTILLED], _DISTILLED_FLAGFILE.value, seed, teacher=taught_by
    )
    for name, run_dir in run_dirs.items():
      results[name].append({'seed': seed, **_errors(run_dir)})
  text = f'{table(results)}\n\n{_epochs(run_dirs)}\n{verdict(results)}\n'
  files.write_json(output_dir / 'distillation.json', results)
  files.write_bytes(output_dir / 'distillation.md', text.encode())
  print(text, end='')


def _train(run_dir: pathlib.Path, flagfile: str, seed: int, **values) -> None:
  wanted = {
    flag.name: flag.value
    for flag in (_EPOCHS, _HEAD_EPOCHS)
    if flag.value is not None
  }
  # Written last, so what has it is whole.
  if (run_dir / run_directory.METRICS).is_file():
    trained = run_directory.read_flags(run_dir)
    for name, value in wanted.items():
      if trained[name] != value:
        raise InputError(
          f'{run_dir}: was trained with --{name}={trained[name]}, not {value}; '
          'give another --output_dir'
        )
    return
  config = training.TrainConfig.from_flagfile(
    flagfile,
    data_dir=_DATA_DIR.value,
    run_dir=str(run_dir),
    seed=seed,
    **values,
    **wanted,
  )
  print(f'training {run_dir}', file=sys.stderr, flush=True)
  with contextlib.redirect_stdout(sys.stderr):
    training.train(config)


def _epochs(run_dirs: dict[str, pathlib.Path]) -> str:
  """Says how long each model was trained."""
  said = []
  for name, run_dir in run_dirs.items():
    values = run_directory.read_flags(run_dir)
    said.append(f'{name} {values["epochs"]} and {values["head_epochs"]}')
  return f'epochs of the network and of the head alone: {", ".join(said)}'


def _errors(run_dir: pathlib.Path) -> dict:
  """Returns errors of a run's float model on its test subjects, BPM."""
  subjects = runs.subjects_of(run_dir, _DATA_DIR.value, 'test')
  model = estimators.float_estimator(
    *loading.load_float(run_dir),
    run_directory.input_quantisation(run_dir),
  )
  collected = runs.collect(run_dir, _DATA_DIR.value, subjects, {'model': model})
  errors = windows.errors(collected.rows, 'model')
  metrics = files.read_json(run_dir / run_directory.METRICS)
  return {
    'subjects': len(subjects),
    'parameters': metrics['parameters']['total'],
    **errors,
  }


if __name__ == '__main__':
  run(main)
