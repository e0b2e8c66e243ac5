"""Fixtures in the forms of ST's reports, and ways to read and change them."""

import json
import pathlib

from tests.support import commands
from tools.n6 import st_report, st_report_check
from tools.n6.st_report_run import StReport
from tools.tflite import reader

FIXTURES = commands.ROOT / 'tests/support/st_reports'
GENERATE = FIXTURES / 'network_generate_report.txt'  # 2.2
NEWER = FIXTURES / 'generate_report_3.0.txt'
WITHOUT_NPU = FIXTURES / 'network_analyze_report.txt'  # 2.2
SOFTWARE = FIXTURES / 'software_epoch_report.txt'  # 2.2
LOG = FIXTURES / 'developer_cloud_log_4.0.txt'
INFO = FIXTURES / 'network_c_info.json'  # 2.2
NEWER_INFO = FIXTURES / 'c_info_3.0.json'
MODEL = commands.ROOT / 'rppg_tf/pretrained/spatial_int8.tflite'
OPERATORS = (
  *('CONV_2D', 'MAX_POOL_2D') * 2,
  *('CONV_2D', 'MEAN'),
)


def run(*words: object, model: pathlib.Path = MODEL):
  return commands.run('tools.read_st_report', *words, f'--model={model}')


def only(path: pathlib.Path) -> StReport:
  (report,) = st_report.read(path)
  return report


def failures(path: pathlib.Path) -> list[str]:
  """What is wrong with a report of the model that ships."""
  report = only(path)
  graph = reader.read(MODEL.read_bytes())
  return [
    *st_report_check.software(report),
    *st_report_check.clashes(report, graph),
  ]


def changed(tmp_path, source: pathlib.Path, *pairs: tuple[str, str]):
  """Writes a copy of a fixture with some text replaced."""
  text = source.read_text()
  for before, after in pairs:
    assert before in text, before
    text = text.replace(before, after)
  path = tmp_path / source.name
  path.write_text(text)
  return path


def changed_info(tmp_path, change) -> pathlib.Path:
  info = json.loads(INFO.read_text())
  change(info)
  path = tmp_path / INFO.name
  path.write_text(json.dumps(info))
  return path
