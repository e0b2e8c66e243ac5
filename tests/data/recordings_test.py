import shutil

import av
import cv2
import numpy as np
import pytest

from rppg_tf.data import recordings, ubfc
from rppg_tf.errors import InputError
from rppg_tf.faces import rois
from rppg_tf.video import mjpeg_writer
from tests.support.fake_recordings import (
  NUM_FRAMES,
  RATE_HZ,
  edit_line,
  truncate,
  write_ground_truth,
  write_recording,
)

_JPEG_START = b'\xff\xd8\xff'


@pytest.fixture(scope='module')
def good(tmp_path_factory):
  return write_recording(tmp_path_factory.mktemp('good') / 'subject1')


def test_read_recording(good):
  example = recordings.read_recording(good)
  shapes = {
    'frames': ((NUM_FRAMES, 3, 36, 36, 3), np.uint8),
    'mid_face_rgb': ((NUM_FRAMES, 3), np.float32),
    'timestamp_s': ((NUM_FRAMES,), np.float64),
    'ppg': ((NUM_FRAMES,), np.float32),
    'heart_rate_bpm': ((NUM_FRAMES,), np.float32),
    'face_found': ((NUM_FRAMES,), np.bool_),
  }
  assert set(example) == {*shapes, 'subject'}
  for name, (shape, dtype) in shapes.items():
    assert example[name].shape == shape, name
    assert example[name].dtype == dtype, name
  assert example['subject'] == 'subject1'
  assert example['face_found'].all()
  np.testing.assert_allclose(example['heart_rate_bpm'], 72, atol=1)
  # Brightness follows the pulse: frames, colours and PPG are in step.
  for trace in (
    example['frames'].mean((1, 2, 3, 4)),
    example['mid_face_rgb'][:, 1],
  ):
    assert np.corrcoef(trace, example['ppg'])[0, 1] > 0.99
  # Skin: red above blue, so the order is RGB.
  assert (example['mid_face_rgb'][:, 0] > example['mid_face_rgb'][:, 2]).all()


def test_uncompressed_video(tmp_path):
  folder = write_recording(tmp_path / 'subject2', fourcc='\0\0\0\0')
  assert recordings.read_recording(folder)['face_found'].all()


def test_geometries_differ(good):
  inner = recordings.read_recording(good, 'inner')
  original = recordings.read_recording(good, 'original')
  assert (inner['frames'] != original['frames']).any()
  np.testing.assert_array_equal(inner['mid_face_rgb'], original['mid_face_rgb'])


@pytest.mark.slow
def test_parallel_is_the_same_in_the_same_order(tmp_path, good):
  folders = [good]
  for number in (9, 10, 4, 5):
    folders.append(write_recording(tmp_path / f'subject{number}', rate_bpm=80))
  threads = cv2.getNumThreads()
  examples = list(recordings.read_recordings(folders))
  assert cv2.getNumThreads() == threads
  assert [e['subject'] for e in examples] == [f.name for f in folders]
  alone = recordings.read_recording(good)
  for name, value in alone.items():
    np.testing.assert_array_equal(examples[0][name], value)


@pytest.mark.parametrize(
  ('number', 'edit', 'message'),
  [
    (2, lambda line: '', r'expected 3 lines .*, got 2; copy'),
    (3, lambda line: line + '\n1 2 3', 'expected 3 lines .*, got 4'),
    (1, lambda line: 'abc ' + line, "line 1 must hold numbers only, got 'abc'"),
    (2, lambda line: 'abc ' + line, "line 2 must hold numbers only, got 'abc'"),
    (
      1,
      lambda line: line + ' 0.1 0.2',
      r'122 PPG samples \(line 1\) but 120 time stamps \(line 3\)',
    ),
    (1, lambda line: 'nan' + line[13:], 'line 1 must be finite, got nan'),
    (3, lambda line: 'inf' + line[13:], 'line 3 must be finite, got inf'),
    (3, lambda line: '9.0' + line[13:], 'must not decrease, got 9 s then'),
    (
      3,
      lambda line: ' '.join(str(1000 * float(word)) for word in line.split()),
      'must be seconds, got 0.03 stamps per second',
    ),
    (3, lambda line: ' '.join('0' for _ in line.split()), 'must be seconds'),
    (1, lambda line: ' '.join('1' for _ in line.split()), 'no heart beat'),
  ],
)
def test_bad_ground_truth(tmp_path, good, number, edit, message):
  folder = tmp_path / 'subject1'
  folder.mkdir()
  write_ground_truth(folder, NUM_FRAMES)
  (folder / 'vid.avi').symlink_to(good / 'vid.avi')
  edit_line(folder, number, edit)
  with pytest.raises(ubfc.RecordingError, match=message) as caught:
    recordings.read_recording(folder)
  assert str(caught.value).startswith(f'{folder}/ground_truth.txt: ')
  assert '\n' not in str(caught.value)


def _break_video(folder, how):
  path = folder / 'vid.avi'
  if how == 'missing':
    path.unlink()
  elif how == 'junk':
    path.write_bytes(b'not a video')
  elif how == 'truncated':
    truncate(path)
  elif how == 'only_header':
    truncate(path, 0.005)
  elif how == 'no_frames':
    write_recording(folder, num_frames=0, num_stamps=NUM_FRAMES)
  elif how == 'no_face':
    write_recording(folder, has_face=False)
  elif how == 'fewer_stamps':
    write_ground_truth(folder, 110)


@pytest.mark.parametrize(
  ('how', 'message'),
  [
    ('missing', r'missing \(vid.mp4, .mkv, … would do\); copy'),
    ('junk', 'not a video that FFmpeg can open; copy'),
    (
      'truncated',
      r'truncated or damaged: its header says 120 frames, only \d+ can be',
    ),
    ('only_header', 'truncated or damaged|no frame|not a video'),
    ('no_frames', 'no frame could be decoded; copy'),
    ('no_face', 'no face in any of 120 frames; check'),
    ('fewer_stamps', '120 frames but 110 time stamps .* may differ by 1 %'),
  ],
)
def test_bad_video(tmp_path, how, message):
  folder = write_recording(tmp_path / 'subject1')
  _break_video(folder, how)
  with pytest.raises(InputError, match=message) as caught:
    recordings.read_recording(folder)
  assert str(caught.value).startswith(f'{folder}/vid.avi: ')
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('num_stamps', [119, 121])
def test_a_difference_of_one_percent_is_trimmed_and_said(
  tmp_path, caplog, num_stamps
):
  folder = write_recording(tmp_path / 'subject1', num_stamps=num_stamps)
  with caplog.at_level('WARNING', logger='absl'):
    example = recordings.read_recording(folder)
  num_frames = min(NUM_FRAMES, num_stamps)
  for name, value in example.items():
    if name != 'subject':
      assert len(value) == num_frames, name
  assert f'120 frames, {num_stamps} time stamps; trimmed' in caplog.text


def _write_ppg(folder, rate_hz, duration_s, hum_hz=0.0):
  """A PPG with a clock of its own, of the video's pulse."""
  time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
  ppg = np.cos(2 * np.pi * 72 / 60 * time_s)
  ppg += np.sin(2 * np.pi * hum_hz * time_s)
  # Its clock began before the video's.
  rows = (ppg, np.full_like(time_s, 127.0), time_s + 3)
  text = '\n'.join(' '.join(f'{v:.7e}' for v in row) for row in rows)
  (folder / 'ground_truth.txt').write_text(text)


@pytest.mark.parametrize('rate_hz', [25, 60, 256])
def test_a_ppg_of_another_rate_is_resampled(tmp_path, good, rate_hz):
  folder = tmp_path / 'subject1'
  shutil.copytree(good, folder)
  # At 256 Hz mains hum that every 30th of a second would make a slow wave of.
  _write_ppg(folder, rate_hz, 4.0, hum_hz=60.0 if rate_hz == 256 else 0.0)
  example, expected = map(recordings.read_recording, (folder, good))
  num_frames = len(example['ppg'])
  # A PPG of 25 Hz ends before the last frame.
  assert num_frames == NUM_FRAMES - (rate_hz == 25)
  for name, value in example.items():
    assert value.dtype == expected[name].dtype if name != 'subject' else True
    assert name == 'subject' or len(value) == num_frames, name
  frame_time_s = np.arange(num_frames) / RATE_HZ
  np.testing.assert_allclose(example['timestamp_s'], frame_time_s + 3)
  wave = np.cos(2 * np.pi * 72 / 60 * frame_time_s)
  # The first and last frame have half a period's samples.
  np.testing.assert_allclose(example['ppg'][1:-1], wave[1:-1], atol=0.02)
  np.testing.assert_allclose(example['heart_rate_bpm'], 72, atol=1)
  np.testing.assert_array_equal(
    example['frames'], expected['frames'][:num_frames]
  )


def test_a_ppg_of_another_length_is_refused(tmp_path, good):
  folder = tmp_path / 'subject1'
  shutil.copytree(good, folder)
  _write_ppg(folder, 60, 4.2)
  message = (
    'vid.avi: 120 frames but 252 time stamps in ground_truth.txt, 3.97 s but '
    '4.18 s long; counts or lengths may differ by 1 %: check that both'
  )
  with pytest.raises(ubfc.RecordingError, match=message):
    recordings.read_recording(folder)


class _Timed:
  """A video of 120 frames whose times are of no use."""

  header_frames = 0

  def __init__(self, path, num_threads=0):
    del path, num_threads

  def stored(self):
    return ((None, 0.0) for _ in range(120))


def test_frames_without_times_are_given_none(tmp_path, monkeypatch):
  monkeypatch.setattr(recordings, 'VideoReader', _Timed)
  folder = tmp_path / 'subject1'
  folder.mkdir()
  (folder / 'vid.mjpeg').touch()
  _write_ppg(folder, 60, 4.0)
  with pytest.raises(ubfc.RecordingError, match='has no times of its own; mak'):
    recordings.read_recording(folder)


def test_another_container_gives_the_same(tmp_path, good):
  folder = tmp_path / 'subject1'
  folder.mkdir()
  shutil.copy(good / 'ground_truth.txt', folder)
  with (
    av.open(str(good / 'vid.avi')) as avi,
    av.open(str(folder / 'vid.mkv'), 'w') as mkv,
  ):
    stream = mkv.add_stream_from_template(avi.streams.video[0])
    for packet in avi.demux(video=0):
      if packet.dts is not None:
        packet.stream = stream
        mkv.mux(packet)
  example, expected = map(recordings.read_recording, (folder, good))
  for name, value in expected.items():
    np.testing.assert_array_equal(example[name], value)


def test_a_frame_that_does_not_decode_goes_with_its_stamp(good, tmp_path):
  folder = tmp_path / 'subject1'
  shutil.copytree(good, folder)
  jpegs = (folder / 'vid.avi').read_bytes().split(_JPEG_START)
  broken = _JPEG_START.join(jpegs[:41]) + b'\0\0\0' + jpegs[41]
  (folder / 'vid.avi').write_bytes(_JPEG_START.join([broken, *jpegs[42:]]))
  whole = recordings.read_recording(good)
  example = recordings.read_recording(folder)
  for name in ('frames', 'timestamp_s', 'ppg', 'heart_rate_bpm'):
    expected = np.delete(whole[name], 40, axis=0)
    np.testing.assert_array_equal(example[name], expected, name)


@pytest.mark.slow
def test_what_a_thread_dies_of_names_its_recording(tmp_path, good, monkeypatch):
  other = write_recording(tmp_path / 'subject9', num_frames=100)
  cut_face = rois.cut_face

  def crash(frame_bgr, *args):
    if frame_bgr[0, 0, 0] == 255:
      raise MemoryError('no more')
    return cut_face(frame_bgr, *args)

  monkeypatch.setattr(rois, 'cut_face', crash)
  white = np.full((240, 240, 3), 255, np.uint8)
  with mjpeg_writer.MjpgWriter(
    other / 'vid.avi', RATE_HZ, 240, 240, 95
  ) as writer:
    for _ in range(100):
      writer.write(white)
  message = r'subject9: cannot be read \(MemoryError: no more\); mend'
  examples = recordings.read_recordings([good, other, good])
  assert next(examples)['subject'] == good.name
  with pytest.raises(ubfc.RecordingError, match=message):
    next(examples)
