"""The firmware as WebAssembly gives the bytes of the host build."""

import json
import subprocess

import cv2
import numpy as np
import pytest
from skimage import data

from tests.support import node
from tools.firmware_runner import stream

pytestmark = pytest.mark.slow

_BUILD = stream.FIRMWARE / 'build'
_GOLDEN = stream.FIRMWARE / 'generated/golden'
_PAGE = stream.FIRMWARE / 'port/web'
_MAX_MODULE_BYTES = 400_000
# 72 BPM; more than 10 s, so that there are heart rates.
_NUM_FRAMES, _RATE_HZ = 125, 11


@pytest.fixture(scope='module', autouse=True)
def _programs():
  names = ('wasm/replay.wasm', 'wasm/rppg.wasm', 'host/replay')
  targets = [f'build/{name}' for name in names]
  stream.check_made(stream.make('generated', *targets))


@pytest.mark.parametrize('kind', ['frames', 'run', 'crops', 'waves'])
def test_golden_files_give_the_same_bytes(kind, tmp_path):
  golden = (_GOLDEN / f'{"frames" if kind == "run" else kind}.bin').read_bytes()
  (tmp_path / 'in.bin').write_bytes(golden)
  words = (kind, 'in.bin', 'out.bin')
  node.run('wasi_replay.mjs', _BUILD / 'wasm/replay.wasm', tmp_path, *words)
  host = tmp_path / 'host.bin'
  subprocess.run(
    stream.command_line('host', kind, str(tmp_path / 'in.bin'), str(host)),
    check=True,
  )
  assert len(host.read_bytes()) > 900
  assert (tmp_path / 'out.bin').read_bytes() == host.read_bytes()


def _frames() -> list[stream.Frame]:
  """A face that sways and pulses, and is gone for a while."""
  random = np.random.default_rng(4)
  face = cv2.resize(data.astronaut()[:280, 100:380], (160, 160))
  frames = []
  for index in range(_NUM_FRAMES):
    time_s = index / _RATE_HZ
    pulse = np.sin(2 * np.pi * 72 / 60 * time_s)
    sway = round(3 * np.sin(2 * np.pi * 0.2 * time_s))
    image = np.full((170, 200, 3), 90.0)
    if index >= 5:
      image[:160, 20 + sway : 180 + sway] = face
    image += pulse * np.array([0.6, 1.2, 0.3]) + random.normal(
      0, 1, (170, 1, 3)
    )
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    frames.append(
      stream.Frame(pixels, round(time_s * 1e6), pixel_format=stream.RGB888)
    )
  return frames


def test_the_pages_module_gives_what_the_host_gives(tmp_path):
  frames = _frames()
  path = tmp_path / 'frames.bin'
  path.write_bytes(b''.join(frame.encode() for frame in frames))
  module = _BUILD / 'wasm/rppg.wasm'
  assert module.stat().st_size <= _MAX_MODULE_BYTES
  lines = node.run('module_replay.mjs', _PAGE / 'firmware.js', module, path)
  results = [json.loads(line) for line in lines.splitlines()]
  expected = list(stream.replay('host', frames, own_detector=True))
  assert len(results) == len(expected) == _NUM_FRAMES
  for result, host in zip(results, expected, strict=True):
    assert result['pushStatus'] == host['push_status']
    assert result['estimateStatus'] == host['estimate_status']
    assert result['numSamples'] == host['num_samples']
    for name, key in (
      ('heartRateBpm', 'heart_rate_bpm'),
      ('confidence', 'confidence'),
      ('pulse', 'pulse'),
      ('midFaceRgb', 'mid_face_rgb'),
    ):
      assert np.array_equal(np.float32(result[name]), host[key]), name
    assert np.float32(result['newestBpm']) == host['beats']['newest_bpm']
    num_beats = int(host['num_beats'])
    assert [one['quality'] for one in result['beats']] == (
      host['beat_quality'][:num_beats].tolist()
    )
    assert [round(1e6 * one['timeS']) for one in result['beats']] == (
      host['beat_time_us'][:num_beats].tolist()
    )
    assert result['box'] == (host['box'].tolist() if host['has_box'] else None)
    assert len(result['regions']) == (3 if host['has_box'] else 0)
  assert expected[-1]['has_box'] and not expected[2]['has_box']
  assert expected[-1]['heart_rate_bpm'] > 0
  assert sum(host['num_beats'] for host in expected) >= 5
