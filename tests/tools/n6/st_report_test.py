"""ST's reports of our network are read; other networks are told apart."""

import json
import pathlib

import pytest

from rppg_tf.errors import InputError
from tests.support import commands
from tools.n6 import st_report, st_report_check
from tools.tflite import reader

FIXTURES = commands.ROOT / 'tests/support/st_reports'
ANALYZE = FIXTURES / 'network_analyze_report.txt'  # wording of 2.2
GENERATE = FIXTURES / 'network_generate_report.txt'  # wording of 3.0
SOFTWARE = FIXTURES / 'software_epoch_report.txt'
INFO = FIXTURES / 'network_c_info.json'
MODEL = commands.ROOT / 'rppg_tf/pretrained/spatial_int8.tflite'
OPERATORS = (
  *('CONV_2D', 'MAX_POOL_2D') * 2,
  *('CONV_2D', 'MEAN'),
)


def _read(*paths: pathlib.Path, model: pathlib.Path = MODEL):
  return commands.run('tools.read_st_report', *paths, f'--model={model}')


def _failures(path: pathlib.Path) -> list[str]:
  """What is wrong with a report of the model that ships."""
  report = st_report.read(path)
  graph = reader.read(MODEL.read_bytes())
  return [
    *st_report_check.software(report),
    *st_report_check.clashes(report, graph),
  ]


def _changed(tmp_path, source: pathlib.Path, *pairs: tuple[str, str]):
  """Writes a copy of a fixture with some text replaced."""
  text = source.read_text()
  for before, after in pairs:
    assert before in text, before
    text = text.replace(before, after)
  path = tmp_path / source.name
  path.write_text(text)
  return path


def _changed_info(tmp_path, change) -> pathlib.Path:
  info = json.loads(INFO.read_text())
  change(info)
  path = tmp_path / INFO.name
  path.write_text(json.dumps(info))
  return path


# --- What is read ------------------------------------------------------------


@pytest.mark.parametrize(
  'path, tool',
  [
    (ANALYZE, 'ST Edge AI Core v2.2.0-20266'),
    (GENERATE, 'ST Edge AI Core v3.0.0-20426'),
  ],
)
def test_a_text_report_is_read_in_both_wordings(path, tool):
  report = st_report.read(path)
  assert report.tool == tool
  assert (report.num_epochs, report.num_software, report.num_hybrid) == (
    5,
    0,
    0,
  )
  assert report.not_hardware == ()
  assert report.macc == 2_490_976
  assert report.weights_bytes == report.compiled_weights_bytes == 9_904
  assert report.activations_bytes == 9_072
  assert report.pools == (
    st_report.Pool('npuRAM5', 0x342E0000, 9_072, 448 * 1024),
    st_report.Pool('octoFlash', 0x71000000, 9_904, 112 * 1024 * 1024),
  )
  assert report.operators == OPERATORS
  assert [end.shape for end in report.inputs] == [(1, 36, 36, 3)]
  assert [end.shape for end in report.outputs] == [(1, 16)]


def test_c_info_is_read():
  report = st_report.read(INFO)
  assert (report.num_epochs, report.num_software) == (5, 0)
  assert report.macc is None
  assert report.compiled_weights_bytes == 9_904
  assert report.activations_bytes == 9_072
  assert report.pools == (
    st_report.Pool('npuRAM5', 0x342E0000, 9_072, 448 * 1024),
    st_report.Pool('octoFlash', 0x71000000, 9_904, 112 * 1024 * 1024),
  )
  assert report.inputs == (st_report.End((1, 36, 36, 3), 'int8'),)
  assert report.outputs == (st_report.End((1, 16), 'int8'),)


def test_layer_names_of_2_1_are_read(tmp_path):
  path = _changed(
    tmp_path,
    ANALYZE,
    ('image0 ()', 'image0 (Input, )'),
    ('(CONV_2D)', '(Conv2D, CONV_2D)'),
  )
  report = st_report.read(path)
  assert report.operators == OPERATORS
  assert report.inputs == (st_report.End((1, 36, 36, 3), ''),)


def test_the_command_prints_a_table_and_passes_our_network():
  done = _read(ANALYZE, GENERATE, INFO)
  assert done.returncode == 0, done.stderr
  lines = [line.strip() for line in done.stdout.splitlines()]
  epochs = 'epochs      5: 5 in hardware, 0 in software, 0 in both'
  assert lines.count(epochs) == 3
  assert lines.count('MACC        2,490,976') == 2
  assert lines.count('weights     9,904 B') == 3
  assert lines.count('activations 9,072 B (8.859 kB)') == 3
  pool = 'npuRAM5     0x342E0000  9,072 of 458,752 B (1.98 %)'
  assert lines.count(pool) == 3


# --- Epochs that are not in hardware -----------------------------------------

_NEW_SOFTWARE = (
  ('(SW) epochs                         0', '(SW) epochs 1'),
  ('| epoch_6  |  HW  |         |', '| epoch_6  |  SW  | Softmax |'),
)
_NEW_HYBRID = (
  ('software and hardware)  0', 'software and hardware)  1'),
  ('| epoch_2  |  HW  |         |', '| epoch_2  | Hybrid |  Cast  |'),
)


def test_an_epoch_in_software_fails_in_the_wording_of_2_2():
  done = _read(SOFTWARE)
  commands.assert_refused(done, '1 of 5 epochs in software: epoch 5 ReduceMean')
  assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
  'pairs, line',
  [
    (_NEW_SOFTWARE, '1 of 5 epochs in software: epoch 6 Softmax'),
    (_NEW_HYBRID, '1 of 5 epochs partly in software: epoch 2 Cast'),
    # The list has the last word.
    (_NEW_SOFTWARE[1:], '1 of 5 epochs in software: epoch 6 Softmax'),
    (_NEW_SOFTWARE[:1], '1 of 5 epochs in software: not named'),
  ],
)
def test_an_epoch_in_software_fails_in_the_wording_of_3_0(
  tmp_path, pairs, line
):
  assert _failures(_changed(tmp_path, GENERATE, *pairs)) == [line]


def test_an_epoch_in_software_fails_in_c_info(tmp_path):
  def change(info):
    info['graphs'][0]['nodes'][2]['mapping'] = 'NODE_SW'

  failures = _failures(_changed_info(tmp_path, change))
  assert failures == ['1 of 5 epochs in software: epoch 3']


# --- Another network ---------------------------------------------------------


@pytest.mark.parametrize(
  'pairs, line',
  [
    (
      [('macc=2,490,976', 'macc=2,490,975')],
      '2,490,975 MACC, 2,490,976 in the TFLite file',
    ),
    (
      [('weights=9,904', 'weights=49,184')],
      '49,184 bytes of weights, 9,904 in the TFLite file',
    ),
    (
      [('weights:      9.672 kB', 'weights:      9.571 kB')],
      '9,801 bytes of compiled weights, 9,904 in the TFLite file',
    ),
    (
      [('[b:1,h:36,w:36,c:3]', '[b:1,h:64,w:64,c:3]')],
      'input [1x64x64x3], int8[1x36x36x3] in the TFLite file',
    ),
    (
      [('[b:1,c:16]', '[b:1,c:10]')],
      'output [1x10], int8[1x16] in the TFLite file',
    ),
    (
      [('pool_5 (MEAN)', 'pool_5 (AVERAGE_POOL_2D)')],
      'operators CONV_2D, MAX_POOL_2D, CONV_2D, MAX_POOL_2D, CONV_2D, '
      'AVERAGE_POOL_2D; in the TFLite file CONV_2D, MAX_POOL_2D, CONV_2D, '
      'MAX_POOL_2D, CONV_2D, MEAN',
    ),
    (
      [('pool_1 (MAX_POOL_2D)', 'pool_1 ()')],
      '5 operators, 6 in the TFLite file',
    ),
  ],
)
def test_another_network_fails(tmp_path, pairs, line):
  assert _failures(_changed(tmp_path, ANALYZE, *pairs)) == [line]


def test_the_command_fails_on_another_network(tmp_path):
  path = _changed(tmp_path, ANALYZE, ('macc=2,490,976', 'macc=2,490,975'))
  done = _read(path, INFO)
  commands.assert_refused(
    done, f'error: {path}: 2,490,975 MACC, 2,490,976 in the TFLite file'
  )
  assert len(done.stderr.splitlines()) == 1


def test_channels_first_is_the_same_network(tmp_path):
  def change(info):
    info['buffers'][0]['shape'] = [1, 3, 36, 36]
    info['memory_footprint']['weights'] = 10_000  # scales and padding added

  assert _failures(_changed_info(tmp_path, change)) == []


def test_another_type_of_input_fails(tmp_path):
  def change(info):
    info['buffers'][0]['format'] = 'STAI_FORMAT_U8'

  failures = _failures(_changed_info(tmp_path, change))
  assert failures == [
    'input uint8[1x36x36x3], int8[1x36x36x3] in the TFLite file'
  ]


# --- Files that are no reports -----------------------------------------------


@pytest.mark.parametrize('path', [ANALYZE, GENERATE])
def test_a_report_cut_at_any_line_is_refused(tmp_path, path):
  lines = path.read_text().splitlines(keepends=True)
  cut = tmp_path / path.name
  for number in range(len(lines)):
    cut.write_text(''.join(lines[:number]))
    with pytest.raises(InputError, match=r'breaks off|no report'):
      st_report.read(cut)


def test_c_info_cut_anywhere_is_refused(tmp_path):
  content = INFO.read_bytes().rstrip()
  cut = tmp_path / INFO.name
  for length in range(0, len(content), 7):
    cut.write_bytes(content[:length])
    with pytest.raises(InputError, match=r'broken JSON|no report'):
      st_report.read(cut)


@pytest.mark.parametrize(
  'content, parts',
  [
    (b'', ['no report of ST Edge AI Core']),
    (b'\xff\xd8\xff\xe0\x00\x10JFIF', ['no report of ST Edge AI Core']),
    (b'Total number of epochs: 5', ['no report of ST Edge AI Core']),
    (b'{"a": 1}', ['no network_c_info.json', 'json_schema_version']),
    (b'{' * 100_000, ['broken JSON']),
    (b'{"a":' * 100_000, ['broken JSON']),
  ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, parts):
  path = tmp_path / 'other'
  path.write_bytes(content)
  with pytest.raises(InputError) as error:
    st_report.read(path)
  for part in (str(path), *parts):
    assert part in str(error.value)
  assert len(str(error.value).splitlines()) == 1


def test_an_unknown_kind_of_epoch_is_refused(tmp_path):
  def change(info):
    info['graphs'][0]['nodes'][2]['mapping'] = 'NODE_MOON'

  path = _changed_info(tmp_path, change)
  with pytest.raises(InputError, match='NODE_MOON'):
    st_report.read(path)


def test_missing_and_damaged_files_are_refused(tmp_path):
  done = commands.run('tools.read_st_report')
  commands.assert_refused(done, 'name a network_*_report.txt')
  done = _read(tmp_path / 'none.txt')
  commands.assert_refused(done, 'none.txt: no such file')
  done = _read(ANALYZE, model=ANALYZE)
  commands.assert_refused(done, f'{ANALYZE}: bytes 4 to 7')
