"""ST's reports of our network are read, and files that are none refused.

Beside fixtures in ST's forms, real reports where they are at hand.
"""

import pytest

from rppg_tf.errors import InputError
from tests.support import commands, st_report_files
from tools.n6 import st_report, st_report_check
from tools.n6.st_report_run import CPU, HOST, NPU, End, Epoch, Pool, StReport
from tools.tflite import reader

_POOLS = (
  Pool('npuRAM5', 0x342E0000, 9_072, 448 * 1024),
  Pool('octoFlash', 0x71000000, 10_081, 112 * 1024 * 1024),
)


# --- What is read ------------------------------------------------------------


@pytest.mark.parametrize(
  'path, tool',
  [
    (st_report_files.GENERATE, 'ST Edge AI Core v2.2.0-20266'),
    (st_report_files.NEWER, 'ST Edge AI Core v3.0.0-20426'),
  ],
)
def test_a_text_report_is_read_in_both_wordings(path, tool):
  report = st_report_files.only(path)
  assert (report.kind, report.tool, report.command) == (NPU, tool, 'generate')
  assert (report.num_epochs, report.num_software, report.num_hybrid) == (
    5,
    0,
    0,
  )
  assert report.not_hardware == ()
  assert report.macc == 2_490_976
  assert report.weights_bytes == 9_904
  assert report.compiled_weights_bytes == 10_081
  assert report.activations_bytes == 9_072
  assert report.pools == _POOLS
  assert report.operators == st_report_files.OPERATORS
  assert [end.shape for end in report.inputs] == [(1, 36, 36, 3)]
  assert [end.shape for end in report.outputs] == [(1, 16)]


@pytest.mark.parametrize(
  'path', [st_report_files.INFO, st_report_files.NEWER_INFO]
)
def test_c_info_is_read_without_the_nodes_at_its_ends(path):
  report = st_report_files.only(path)
  assert report.kind == NPU
  assert (report.num_epochs, report.num_software) == (5, 0)
  assert report.macc is None
  assert report.weights_bytes == 9_904
  assert report.compiled_weights_bytes == 10_081
  assert report.activations_bytes == 9_072
  assert report.pools == _POOLS
  assert report.inputs == (End((1, 36, 36, 3), 'int8'),)
  assert report.outputs == (End((1, 16), 'int8'),)


def _assert_same_numbers(text: StReport, info: StReport) -> None:
  for name in (
    *('kind', 'tool', 'command', 'model', 'num_epochs', 'num_software'),
    *('not_hardware', 'weights_bytes', 'compiled_weights_bytes'),
    *('activations_bytes', 'pools'),
  ):
    assert getattr(text, name) == getattr(info, name), name
  for side in ('inputs', 'outputs'):
    shapes = [[end.shape for end in getattr(r, side)] for r in (text, info)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
  'text, info',
  [
    (st_report_files.GENERATE, st_report_files.INFO),
    (st_report_files.NEWER, st_report_files.NEWER_INFO),
  ],
)
def test_text_and_json_of_one_run_say_the_same(text, info):
  _assert_same_numbers(st_report_files.only(text), st_report_files.only(info))


def test_a_log_without_title_has_a_report_for_each_run():
  compiled, validated = st_report.read(st_report_files.LOG)
  assert (compiled.kind, compiled.command) == (NPU, 'generate')
  assert (compiled.num_epochs, compiled.num_hybrid) == (5, 0)
  # The summary counts what the compiler made of the network.
  assert (compiled.macc, compiled.rewritten_macc) == (None, 2_426_880)
  assert compiled.activations_bytes == 9_072
  assert (validated.kind, validated.command) == (HOST, 'validate')
  assert validated.board_ms == 0.086
  assert validated.inputs == (End((1, 36, 36, 3), 'int8'),)


@pytest.mark.slow
def test_a_run_that_breaks_off_hides_no_other(tmp_path):
  text = st_report_files.LOG.read_text()
  cut = text.index('Memory usage information')
  path = tmp_path / 'log.txt'
  path.write_text(f'{text[:cut]}\nelapsed time (GENERATE): 1.000s\n{text}')
  done = st_report_files.run(path)
  commands.assert_refused(done, f'{path}, run 1: breaks off before the memory')
  assert f'{path}, run 2' in done.stdout
  assert f'{path}, run 3' in done.stdout
  done = st_report_files.run(path, '--run=2')
  assert done.returncode == 0, done.stderr
  done = st_report_files.run(path, '--run=4')
  commands.assert_refused(done, 'has 3 runs, no run 4')


def test_a_title_glued_to_its_command_belongs_to_it(tmp_path):
  text = st_report_files.LOG.read_text().replace(
    'tflite --target', 'tfliteST Edge AI Core v4.0.0-20500 1\n--target'
  )
  path = tmp_path / 'log.txt'
  path.write_text(text)
  reports = st_report.read(path)
  assert [report.model for report in reports] == ['spatial_int8.tflite'] * 2
  assert reports[0].tool == 'ST Edge AI Core v4.0.0-20500'


def test_layer_names_of_2_1_are_read(tmp_path):
  path = st_report_files.changed(
    tmp_path,
    st_report_files.GENERATE,
    ('image0 ()', 'image0 (Input, )'),
    ('(CONV_2D)', '(Conv2D, CONV_2D)'),
  )
  report = st_report_files.only(path)
  assert report.operators == st_report_files.OPERATORS
  assert report.inputs == (End((1, 36, 36, 3), ''),)


def test_several_outputs_are_the_layers_that_none_reads(tmp_path):
  path = st_report_files.changed(
    tmp_path,
    st_report_files.GENERATE,
    ('1,296                   nl_4_nl', '1,296                    pool_3'),
  )
  report = st_report_files.only(path)
  assert [end.shape for end in report.outputs] == [(1, 9, 9, 16), (1, 16)]


def test_other_widths_and_units_are_read(tmp_path):
  path = st_report_files.changed(
    tmp_path,
    st_report_files.GENERATE,
    ('8.859 kB', '8.859 KiB'),
    ('\t', '    '),
    ('       ', '    '),
  )
  report = st_report_files.only(path)
  assert report.activations_bytes == 9_072
  assert report.pools == _POOLS


@pytest.mark.slow
def test_the_command_prints_a_table_and_passes_our_network():
  done = st_report_files.run(
    st_report_files.GENERATE,
    st_report_files.NEWER,
    st_report_files.INFO,
    st_report_files.LOG,
  )
  assert done.returncode == 0, done.stderr
  lines = [line.strip() for line in done.stdout.splitlines()]
  epochs = 'epochs        5: 5 in hardware, 0 in software, 0 in both'
  assert lines.count(epochs) == 4
  assert lines.count('MACC          2,490,976') == 2
  assert lines.count('weights       9,904 B') == 3
  assert lines.count('activations   9,072 B (8.859 kB)') == 4
  pool = 'npuRAM5       0x342E0000  9,072 of 458,752 B (1.98 %)'
  assert lines.count(pool) == 4
  assert f'{st_report_files.LOG}, run 2' in lines
  assert 'on the board  0.086 ms' in lines
  done = st_report_files.run(st_report_files.LOG, '--run=1')
  assert done.returncode == 0
  assert 'on the board' not in done.stdout


# --- No NPU ------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_without_npu_is_named():
  report = st_report_files.only(st_report_files.WITHOUT_NPU)
  assert (report.kind, report.num_epochs) == (CPU, None)
  assert (report.macc, report.rewritten_macc) == (2_490_976, 2_437_280)
  assert report.operators == st_report_files.OPERATORS
  done = st_report_files.run(st_report_files.WITHOUT_NPU)
  commands.assert_refused(
    done, 'compiled for the Cortex-M55: --st-neural-art was missing'
  )
  assert 'compiled for  a processor alone' in done.stdout


def test_c_info_of_a_run_without_npu_is_named(tmp_path):
  def change(info):
    tool = info['environment']['tools'][0]
    tool['arguments'] = 'analyze --model m.tflite --target stm32n6'
    for node in info['graphs'][0]['nodes']:
      node.update(name=f'conv_{node["id"]}', mapping='NODE_SW', macc=10)
    for pool in info['memory_pools']:
      pool.update(address='NULL', size_bytes=-1)

  path = st_report_files.changed_info(tmp_path, change)
  report = st_report_files.only(path)
  assert (report.kind, report.num_epochs, report.pools) == (CPU, None, ())
  assert report.rewritten_macc == 70
  (line,) = st_report_check.software(report)
  assert line.startswith('compiled for the Cortex-M55')


def test_c_info_has_shapes_as_the_models_file(tmp_path):
  def change(info):
    info['environment']['tools'][0]['input_model']['type'] = 'onnx'
    info['buffers'][0]['shape'] = [1, 3, 36, 36]

  for path in (
    st_report_files.INFO,
    st_report_files.changed_info(tmp_path, change),
  ):
    assert st_report_files.only(path).inputs == (End((1, 36, 36, 3), 'int8'),)


def test_constants_in_the_layers_are_no_inputs(tmp_path):
  # As real reports have them, of networks with ADD and MUL of constants.
  rule = '------ ------'
  row = '6      tfl_pseudo_qconst1 ()   [b:1,h:400,w:1,c:2]   800/800'
  text = st_report_files.GENERATE.read_text()
  end = text.index('model: macc=')
  path = tmp_path / st_report_files.GENERATE.name
  path.write_text(f'{text[:end]}{row}\n{rule}\n{text[end:]}')
  assert st_report_files.only(path).inputs == (End((1, 36, 36, 3), ''),)


def test_c_info_that_validate_wrote_is_named(tmp_path):
  path = st_report_files.changed_info(tmp_path, lambda info: info.pop('graphs'))
  with pytest.raises(InputError, match=r'written by `validate`.*`generate`'):
    st_report.read(path)


# --- Files that are no reports -----------------------------------------------


@pytest.mark.parametrize(
  'path', [st_report_files.GENERATE, st_report_files.NEWER]
)
def test_a_report_cut_at_any_line_is_refused_or_whole(tmp_path, path):
  lines = path.read_text().splitlines(keepends=True)
  cut = tmp_path / path.name
  num_refused = 0
  for number in range(len(lines)):
    cut.write_text(''.join(lines[:number]))
    try:
      assert st_report_files.only(cut) == st_report_files.only(path), number
    except InputError as error:
      assert 'breaks off' in str(error) or 'no report' in str(error)
      num_refused += 1
  first = next(i for i, line in enumerate(lines) if 'epoch' in line[:8])
  assert num_refused > first


def test_c_info_cut_anywhere_is_refused(tmp_path):
  content = st_report_files.INFO.read_bytes().rstrip()
  cut = tmp_path / st_report_files.INFO.name
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

  path = st_report_files.changed_info(tmp_path, change)
  with pytest.raises(InputError, match='NODE_MOON'):
    st_report.read(path)


@pytest.mark.slow
def test_missing_and_damaged_files_are_refused(tmp_path):
  done = commands.run('tools.read_st_report')
  commands.assert_refused(done, 'name a network_*_report.txt')
  done = st_report_files.run(tmp_path / 'none.txt')
  commands.assert_refused(done, 'none.txt: no such file')
  done = st_report_files.run(
    st_report_files.GENERATE, model=st_report_files.GENERATE
  )
  commands.assert_refused(done, f'{st_report_files.GENERATE}: bytes 4 to 7')


# --- Reports that ST's tool wrote --------------------------------------------


def test_a_real_report_of_these_operators_is_read():
  report = st_report_files.only(
    commands.n6_real('st_2.2.0_twin_generate_report.txt')
  )
  assert (report.num_epochs, report.num_software) == (5, 0)
  assert (report.macc, report.weights_bytes) == (2_490_976, 9_904)
  assert (report.compiled_weights_bytes, report.activations_bytes) == (
    10_081,
    9_072,
  )
  graph = reader.read(
    commands.n6_real('twin_spatial_cnn_int8.tflite').read_bytes()
  )
  assert [*st_report_check.clashes(report, graph)] == []


def test_a_real_run_without_npu_is_named():
  path = commands.n6_real('st_2.2.0_analyze_without_st_neural_art.txt')
  report = st_report_files.only(path)
  assert (report.kind, report.num_epochs) == (CPU, None)
  assert (report.macc, report.rewritten_macc) == (125_137_384, 122_722_536)
  assert report.activations_bytes == 608_452
  assert [end.shape for end in report.outputs] == [
    (1, 3845, 2),
    (1, 3845, 4),
    (1, 3845, 4),
  ]


def test_real_text_and_json_of_one_run_say_the_same():
  text = st_report_files.only(
    commands.n6_real('st_2.1.0_same_network_generate_report.txt')
  )
  info = st_report_files.only(commands.n6_real('st_2.1.0_c_info.json'))
  _assert_same_numbers(text, info)
  assert (info.num_epochs, info.num_software) == (56, 1)
  assert info.not_hardware == (Epoch('epoch 56', 'SW', 'Softmax'),)
  assert (text.macc, text.weights_bytes) == (22_464_344, 718_728)
  assert text.compiled_weights_bytes == 367_233
  assert text.activations_bytes == 245_760


@pytest.mark.parametrize(
  'name, host_macc, board_ms',
  [
    ('st_4.0.0_conv2d_16f_3x3_report.txt', None, 0.086),
    ('st_4.0.0_ai_studio_conv2d_16f_3x3.txt', 1_835_024, 0.122),
  ],
)
def test_real_logs_hold_two_runs(name, host_macc, board_ms):
  compiled, validated = st_report.read(commands.n6_real(name))
  assert compiled.kind == NPU
  assert (compiled.num_epochs, compiled.num_software) == (1, 0)
  assert compiled.rewritten_macc == 1_802_240
  assert compiled.compiled_weights_bytes == 497
  assert compiled.activations_bytes == 12_304
  assert (validated.kind, validated.rewritten_macc) == (HOST, host_macc)
  assert validated.board_ms == board_ms
