"""The comparison of patches' ingredients: known answers."""

import json

import pandas
import pytest

from tools.studies import patches

pytestmark = pytest.mark.slow

_MOTION = {'a': 'normal', 'b': 'normal', 'c': 'strong', 'd': 'strong'}


@pytest.fixture
def recordings_dir(tmp_path):
  for subject, motion in _MOTION.items():
    folder = tmp_path / 'DATASET_2' / subject
    folder.mkdir(parents=True)
    content = json.dumps({'motion': motion, 'pulse_rms': 0.001})
    (folder / 'render.json').write_text(content)
  return str(tmp_path)


def _rows(normal_bpm: float, strong_bpm: float) -> pandas.DataFrame:
  errors = {'normal': normal_bpm, 'strong': strong_bpm}
  return pandas.DataFrame(
    {'subject': subject, 'reference_bpm': 70.0, 'model': 70.0 + errors[motion]}
    for subject, motion in _MOTION.items()
    for _ in range(3)
  )


def test_errors_are_held_against_the_first(recordings_dir, tmp_path):
  found = patches.results(
    {
      'patches': [_rows(1, 1), _rows(1, -3)],
      'patches without motion': [_rows(1, 5), _rows(-1, 5)],
    },
    recordings_dir,
  )
  assert found['patches']['mae_bpm'] == {
    'normal': pytest.approx(1),
    'strong': pytest.approx(2),
    'both': pytest.approx(1.5),
  }
  assert found['patches']['seeds_mae_bpm'] == pytest.approx([1, 2])
  other = found['patches without motion']
  assert other['difference_bpm'] == pytest.approx(1.5)
  # Draws of four subjects have all strong ones among them, or none.
  assert other['interval_bpm'] == pytest.approx((0, 3))
  table = patches.table(found)
  lines = [' '.join(line.split()) for line in table.splitlines()]
  assert lines[2] == '| patches | 1.00 | 2.00 | 1.50 | 1.00, 2.00 | - |'
  assert lines[3].endswith('| 3.00, 3.00 | +1.50 (+0.00 to +3.00) |')
  patches.plot(tmp_path / 'patches.png', found)
  assert (tmp_path / 'patches.png').read_bytes().startswith(b'\x89PNG')
