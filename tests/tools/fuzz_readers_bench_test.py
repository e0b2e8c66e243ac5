"""Every reader against some 900 damaged and odd videos: `make bench`."""

import pytest

from tests.support import commands

pytestmark = pytest.mark.bench

_REAL_FACE = (
  commands.ROOT.parent
  / 'shared'
  / 'real_video'
  / 'face_with_ppg_640x480_30fps.mp4'
)
_TIMEOUT_S = 4 * 3600


@pytest.mark.parametrize('source', ['rendered', 'real'])
def test_no_video_is_a_fault_of_a_reader(source):
  """Prints the counts; a fault's own line says which file shows it."""
  words = [
    'tools.fuzz_readers',
    f'--work_dir={commands.ROOT / "build" / "fuzz"}',
  ]
  if source == 'real':
    if not _REAL_FACE.is_file():
      pytest.skip(f'{_REAL_FACE} is not on this machine')
    words += [f'--real_video={_REAL_FACE}', '--only=/real-']
  done = commands.run_fresh(*words, timeout_s=_TIMEOUT_S)
  print(f'\n{done.stdout}')
  assert done.returncode == 0, done.stdout + done.stderr
