"""The head in NumPy gives the heart rate of its C."""

import numpy as np
import pytest

from rppg_tf import contract, run_directory
from rppg_tf.errors import InputError
from rppg_tf.inference import backends, c_library, numpy_head
from rppg_tf.inference.c_head import CompiledHead


def _feature_codes(num_frames: int) -> np.ndarray:
  """Features that beat 72 times a minute, over noise."""
  rng = np.random.default_rng(5)
  seconds = np.arange(num_frames)[:, np.newaxis] / 30
  gain = rng.normal(0, 20, contract.NUM_FRAME_FEATURES)
  codes = np.sin(2 * np.pi * 1.2 * seconds) * gain
  codes += rng.normal(0, 4, codes.shape)
  return np.rint(codes).astype(np.int16)


@pytest.mark.slow
def test_the_rates_are_those_of_the_c():
  codes = _feature_codes(450)
  times_s = np.arange(450) / 30
  expected = CompiledHead(run_directory.PRETRAINED).run(codes, times_s)
  stream = numpy_head.NumpyHead(run_directory.PRETRAINED).stream()
  runs = [
    stream.push(codes[start : start + 70], times_s[start : start + 70])
    for start in range(0, 450, 70)
  ]
  assert len(expected.heart_rate_bpm) == 6
  for name, tolerance in (
    ('pulse', 1e-4),
    ('heart_rate_bpm', 0.01),
    ('confidence', 1e-4),
  ):
    found = np.concatenate([getattr(run, name) for run in runs])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, getattr(expected, name), atol=tolerance)


@pytest.fixture(params=['absent', 'a stub', 'for another machine'])
def no_compiler(request, monkeypatch, tmp_path):
  """A machine without a C compiler that works, whose cache is empty."""
  compiler = tmp_path / 'cc'
  # macOS without its developer tools; then one that makes what cannot load.
  compiler.write_text(
    {
      'a stub': '#!/bin/sh\necho xcode-select: error: no tools >&2; exit 1\n',
      'for another machine': '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n'
      'echo no library > "$2"\n',
    }.get(request.param, '')
  )
  compiler.chmod(0o755)
  found = None if request.param == 'absent' else str(compiler)
  monkeypatch.setattr(c_library.shutil, 'which', lambda _: found)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.mark.slow
def test_a_source_that_does_not_compile_is_one_line(tmp_path):
  for name in ('temporal_head.c', 'temporal_head.h'):
    source = (run_directory.PRETRAINED / name).read_text()
    (tmp_path / name).write_text(source.replace('int32_t', 'int_of_32', 1))
  with pytest.raises(InputError, match=r'does not compile \(.*error.*\)') as it:
    c_library.load(tmp_path)
  assert not isinstance(it.value, c_library.NoCompilerError)
  assert '\n' not in str(it.value)


@pytest.mark.slow
@pytest.mark.usefixtures('no_compiler')
def test_without_a_compiler_the_backend_takes_numpy():
  backend = backends.load_backend('int8', run_directory.PRETRAINED)
  shape = (2, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  run = backend.push(
    np.zeros(shape, np.int8),
    np.zeros((2, contract.NUM_CHROMINANCE), np.int16),
    np.array([0, 1 / 30]),
  )
  assert run.pulse.shape == (2,)
  assert run.heart_rate_bpm.shape == (0,)


@pytest.mark.parametrize(
  ('content', 'message'), [(None, 'not there'), (b'PK not a zip', 'damaged')]
)
def test_a_file_that_cannot_be_read(tmp_path, content, message):
  if content is not None:
    (tmp_path / run_directory.HEAD_TABLE).write_bytes(content)
  with pytest.raises(InputError, match=message):
    numpy_head.NumpyHead(tmp_path)
