"""The emitted cascade against the file that it is emitted from."""

import pathlib
import subprocess
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from rppg_tf.faces import detector
from tests.support import commands
from tools.codegen import face_cascade

_PATH = pathlib.Path(cv2.data.haarcascades) / detector.CASCADE_FILE
_CONTENT = _PATH.read_bytes()


@pytest.mark.slow
def test_the_same_file_gives_the_same_tables(tmp_path):
  files = face_cascade.render_face_cascade(_PATH)
  assert files == face_cascade.render_face_cascade(_PATH)
  done = commands.run('tools.emit_face_cascade', f'--output_dir={tmp_path}')
  assert done.returncode == 0, done.stderr
  for name, text in files.items():
    assert (tmp_path / name).read_text() == text
  command = 'cc -std=c99 -Wall -Wextra -Wpedantic -Werror -fsyntax-only'
  source = tmp_path / 'face_cascade.c'
  subprocess.run([*command.split(), source], check=True)


def test_the_licence_goes_with_the_weights():
  licence = face_cascade.read_licence(_CONTENT)
  assert 'Copyright (C) 2000, Intel Corporation' in licence
  notice = (pathlib.Path(__file__).parents[3] / 'NOTICE').read_text()
  source = face_cascade.render_face_cascade(_PATH)['face_cascade.c']
  for line in licence.splitlines():
    assert line.strip() in notice
    assert f' * {line}'.rstrip() in source


def _sums(patch: np.ndarray, rectangles) -> int:
  return sum(
    weight * int(patch[y : y + height, x : x + width].sum())
    for x, y, width, height, weight in rectangles
  )


def _cut(patch: np.ndarray, stump: face_cascade.Stump) -> list[int]:
  """Sums of the parts, from the left, then from above."""
  x, y, width, height = stump.shape
  columns, rows = ((2, 1), (1, 2), (3, 1), (1, 3), (2, 2))[stump.kind]
  return [
    int(patch[top : top + height, left : left + width].sum())
    for top in range(y, y + rows * height, height)
    for left in range(x, x + columns * width, width)
  ]


def _value(parts: list[int]) -> int:
  """As face_cascade.h has it."""
  if len(parts) == 2:
    return parts[0] - parts[1]
  if len(parts) == 3:
    return 2 * parts[1] - parts[0] - parts[2]
  return parts[0] + parts[3] - parts[1] - parts[2]


def test_every_stump_says_what_opencvs_does():
  """In a random window, with float32 deviations, at and around thresholds."""
  rng = np.random.default_rng(2)
  root = ET.fromstring(_CONTENT)[0]
  features = [
    [
      tuple(int(float(word)) for word in line.text.split())
      for line in node.find('rects')
    ]
    for node in root.find('features')
  ]
  stages = face_cascade.read_stages(_CONTENT)
  num_stumps = 0
  for node, stage in zip(root.find('stages'), stages, strict=True):
    weaks = []
    for weak in node.find('weakClassifiers'):
      *_, index, threshold = weak.findtext('internalNodes').split()
      leaves = [
        float(np.float32(v)) for v in weak.findtext('leafValues').split()
      ]
      weaks.append((features[int(index)], np.float32(threshold), leaves))
    weaks.sort(key=lambda weak: face_cascade._recognise(weak[0])[0])
    for (rectangles, threshold, leaves), stump in zip(
      weaks, stage.stumps, strict=True
    ):
      patch = rng.integers(0, 256, (24, 24))
      theirs, ours = _sums(patch, rectangles), _value(_cut(patch, stump))
      norms = [np.float32(rng.uniform(2e-5, 2e-4))]
      if theirs and threshold / theirs > 1e-5:  # at the threshold itself
        at = np.float32(threshold / np.float32(theirs))
        norms += [np.nextafter(at, np.float32(side)) for side in (0, at, 1)]
      for norm in norms:
        expected = leaves[0 if np.float32(theirs) * norm < threshold else 1]
        is_below = np.float32(ours) * norm < stump.threshold
        assert float(stump.below if is_below else stump.above) == expected
      num_stumps += 1
  assert num_stumps == 2913


@pytest.mark.parametrize(
  ('old', 'new', 'message'),
  [
    (b'<width>24</width>', b'<width>20</width>', 'expected 24x24'),
    (b'0 -1 0 -3.15', b'1 -1 0 -3.15', 'expected stumps'),
    (b'6 4 12 9 -1.', b'6 4 12 10 -1.', 'halves, thirds or quarters'),
    (b'2.0875380039215088e+00', b'1e-30', 'no multiple of 2'),
    (b'2.0875380039215088e+00', b'600.', 'a stage of 9 is too large'),
    (b'</opencv_storage>', b'', 'no such XML'),
    (b'<!--', b'<!-- */', 'would end a comment'),
    (b'<?xml version="1.0"?>', b'', 'expected a comment with its licence'),
  ],
)
def test_another_cascade_is_refused(tmp_path, old, new, message):
  assert old in _CONTENT
  path = tmp_path / 'cascade.xml'
  path.write_bytes(_CONTENT.replace(old, new, 1))
  with pytest.raises(ValueError, match=message):
    face_cascade.render_face_cascade(path)
