"""A report of another network, or of epochs on the CPU, fails."""

import pytest

from tests.support import commands, st_report_files
from tools.n6 import st_report_check

# --- Epochs that are not in hardware -----------------------------------------

_NEW_SOFTWARE = (
  ('(SW) epochs                         0', '(SW) epochs 1'),
  ('| epoch_6  |  HW  |         |', '| epoch_6  |  SW  | Softmax |'),
)
_NEW_HYBRID = (
  ('software and hardware)  0', 'software and hardware)  1'),
  ('| epoch_2  |  HW  |         |', '| epoch_2  | Hybrid |  Cast  |'),
)


@pytest.mark.slow
def test_an_epoch_in_software_fails_in_the_wording_of_2_2():
  done = st_report_files.run(st_report_files.SOFTWARE)
  commands.assert_refused(
    done,
    '1 of 5 epochs in software, whole or in part: epoch 5 ReduceMean',
  )
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
  assert st_report_files.failures(
    st_report_files.changed(tmp_path, st_report_files.NEWER, *pairs)
  ) == [line]


def test_an_epoch_in_software_fails_in_c_info(tmp_path):
  def change(info):
    info['graphs'][0]['nodes'][2]['mapping'] = 'NODE_SW'

  failures = st_report_files.failures(
    st_report_files.changed_info(tmp_path, change)
  )
  assert failures == ['1 of 5 epochs in software: epoch 2 Conv2D']


def test_an_epoch_without_a_kind_is_hybrid_as_in_the_json(tmp_path):
  # Of real runs of 2.2: `??` in the text, NODE_SW_HW in the JSON.
  unmarked = ('epoch 3       HW', 'epoch 3  ??')
  text = st_report_files.only(
    st_report_files.changed(tmp_path, st_report_files.GENERATE, unmarked)
  )

  def change(info):
    info['graphs'][0]['nodes'][3]['mapping'] = 'NODE_SW_HW'

  info = st_report_files.only(st_report_files.changed_info(tmp_path, change))
  for report in (text, info):
    assert (report.num_software, report.num_hybrid) == (0, 1)
    assert [epoch.name for epoch in report.not_hardware] == ['epoch 3']
    (line,) = st_report_check.software(report)
    assert line.startswith('1 of 5 epochs partly in software')


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
      [('weights:      9.845 kB', 'weights:      9.571 kB')],
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
  assert st_report_files.failures(
    st_report_files.changed(tmp_path, st_report_files.GENERATE, *pairs)
  ) == [line]


@pytest.mark.slow
def test_the_command_fails_on_another_network(tmp_path):
  path = st_report_files.changed(
    tmp_path, st_report_files.GENERATE, ('macc=2,490,976', 'macc=2,490,975')
  )
  done = st_report_files.run(path, st_report_files.INFO)
  commands.assert_refused(
    done, f'error: {path}: 2,490,975 MACC, 2,490,976 in the TFLite file'
  )
  assert len(done.stderr.splitlines()) == 1


def test_channels_first_is_the_same_network(tmp_path):
  def change(info):
    info['buffers'][0]['shape'] = [1, 3, 36, 36]
    info['memory_footprint']['weights'] = 10_000  # scales and padding added

  assert (
    st_report_files.failures(st_report_files.changed_info(tmp_path, change))
    == []
  )


def test_another_type_of_input_fails(tmp_path):
  def change(info):
    info['buffers'][0]['format'] = 'STAI_FORMAT_U8'

  failures = st_report_files.failures(
    st_report_files.changed_info(tmp_path, change)
  )
  assert failures == [
    'input uint8[1x36x36x3], int8[1x36x36x3] in the TFLite file'
  ]
