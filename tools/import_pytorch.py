"""Data and weights of UltraLightRPPG in PyTorch → this project, and back.

  python -m tools.import_pytorch dataset --pt=ubfc_processed.pt --data_dir=D
  python -m tools.import_pytorch export-windows --data_dir=D --output=W.npz
  python -m tools.import_pytorch weights --pth=best_model.pth --run_dir=R \
    --data_dir=D
  python -m tools.import_pytorch export-weights --run_dir=R --pth=W.pth

dataset puts the recordings together again that overlapping windows were cut
from; train and evaluate read D as they read a build of tfds_ubfc. weights
makes a run directory of the window head on raw pixels. docs/from_pytorch.md
has the shapes. Needs PyTorch: pip install -e .[pytorch]
"""

import pathlib
import sys

from absl import flags

from rppg_tf.entry_point import run
from rppg_tf.errors import InputError

_PT = flags.DEFINE_string('pt', None, 'Windows: {samples, labels}.')
_PTH = flags.DEFINE_string(
  'pth', None, "A checkpoint with UltraLightRPPG's state_dict."
)
_STATE = flags.DEFINE_string(
  'state',
  None,
  'Which weights of a checkpoint that holds several, as the error lists them.',
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Of a build of tfds_ubfc; `dataset` writes it.'
)
_RUN_DIR = flags.DEFINE_string(
  'run_dir', None, 'Run directory; `weights` writes it.'
)
_OUTPUT = flags.DEFINE_string('output', None, 'File to write, .npz or .pt.')
_FPS = flags.DEFINE_float(
  'fps',
  30.0,
  'Frames a second of the videos: a .pt has no times.',
  lower_bound=5.0,
  upper_bound=500.0,
)
_SUBJECTS = flags.DEFINE_string(
  'subjects',
  None,
  'Text file with the subject of each window in a line; default: told apart '
  'by their patches.',
)
_STRIDE = flags.DEFINE_integer(
  'stride', 1, 'Frames from one window to the next.', lower_bound=1
)
_GEOMETRY = flags.DEFINE_enum(
  'roi_geometry',
  'original',
  ('inner', 'original'),
  "Where the patches were cut; original: UltraLightRPPG's regions.",
)


def main(words: list[str]) -> None:
  """Runs one of COMMANDS."""
  if len(words) != 1 or words[0] not in COMMANDS:
    raise InputError(
      f'name one of {", ".join(COMMANDS)}: python -m tools.import_pytorch '
      'dataset --pt=ubfc_processed.pt --data_dir=D'
    )
  command, needed, optional = COMMANDS[words[0]]
  for flag in flags.FLAGS.get_flags_for_module(sys.modules[__name__]):
    if flag.name in needed and not flag.value:
      raise InputError(f'{words[0]}: needs --{flag.name}')
    if flag.present and flag.name not in needed + optional:
      raise InputError(f'{words[0]}: --{flag.name} is not for it')
  command()


def _check_torch() -> None:
  try:
    import torch  # noqa: F401
  except ImportError:
    raise InputError(
      'PyTorch is not installed; run `pip install -e .[pytorch]`'
    ) from None


def _import_dataset() -> None:
  _check_torch()
  from tools.pytorch_bridge import file as pytorch_file

  windows = pytorch_file.WindowFile(pathlib.Path(_PT.value))
  # TensorFlow takes seconds to load; what is wrong with the file comes first.
  from tools.pytorch_bridge import recordings as pytorch_recordings

  data_dir = pathlib.Path(_DATA_DIR.value)
  pytorch_recordings.check_free(data_dir, _GEOMETRY.value)
  subjects = None
  if _SUBJECTS.value:
    subjects = pytorch_recordings.read_subjects(
      pathlib.Path(_SUBJECTS.value), windows.num_windows
    )
  found = pytorch_recordings.find(windows, subjects)
  counts = pytorch_recordings.write(
    windows, found, _FPS.value, data_dir, _GEOMETRY.value
  )
  for line in pytorch_recordings.describe(windows, found, subjects is not None):
    print(line)
  listed = ', '.join(f'{split} {count}' for split, count in counts.items())
  print(
    f'{data_dir}: recordings: {listed}; read them with --data_dir={data_dir} '
    f'--roi_geometry={_GEOMETRY.value}'
  )


def _export_windows() -> None:
  path = pathlib.Path(_OUTPUT.value)
  if path.suffix == '.pt':
    _check_torch()
  from rppg_tf.data import dataset
  from tools.pytorch_bridge import export_windows

  by_split = dataset.subjects_by_split(_DATA_DIR.value, _GEOMETRY.value)
  everyone = [name for names in by_split.values() for name in names]
  recordings = dataset.load_recordings(
    _DATA_DIR.value, _GEOMETRY.value, everyone
  )
  num_windows = export_windows.export(recordings, _STRIDE.value, path)
  print(f'{path}: {num_windows:,} windows at stride {_STRIDE.value}')


def _import_weights() -> None:
  _check_torch()
  from tools.pytorch_bridge import run as pytorch_run

  difference_bpm, read = pytorch_run.import_weights(
    pathlib.Path(_PTH.value),
    pathlib.Path(_RUN_DIR.value),
    _DATA_DIR.value,
    _GEOMETRY.value,
    _STATE.value,
  )
  print(
    f'read: the weights {f"at {read.place}" if read.place else "alone"}, '
    f'{read.num_left_out} other tensors beside them'
  )
  print(
    f'{pytorch_run.NUM_CHECKED:,} random windows: |Keras - PyTorch| at most '
    f'{difference_bpm:.1e} BPM'
  )
  print(
    'which subjects it was trained on is not known here: it may have seen '
    'those of the test split'
  )
  print(f'run: {_RUN_DIR.value}; tools.export_tflite goes on from there')


def _export_weights() -> None:
  _check_torch()
  from tools.pytorch_bridge import run as pytorch_run

  difference_bpm = pytorch_run.export_weights(
    pathlib.Path(_RUN_DIR.value), pathlib.Path(_PTH.value)
  )
  print(
    f'{pytorch_run.NUM_CHECKED:,} random windows: |Keras - PyTorch| at most '
    f'{difference_bpm:.1e} BPM'
  )
  print(f'written: {_PTH.value}')


# By word: what to run, the flags that it needs, others that it takes.
COMMANDS = {
  'dataset': (
    _import_dataset,
    ('pt', 'data_dir'),
    ('fps', 'subjects', 'roi_geometry'),
  ),
  'export-windows': (
    _export_windows,
    ('data_dir', 'output'),
    ('stride', 'roi_geometry'),
  ),
  'weights': (
    _import_weights,
    ('pth', 'run_dir', 'data_dir'),
    ('roi_geometry', 'state'),
  ),
  'export-weights': (_export_weights, ('run_dir', 'pth'), ()),
}


if __name__ == '__main__':
  run(main, takes_words=True)
