"""The reader of every video: frames, times, and Motion-JPEG by itself."""

import cv2
import numpy as np
import pytest

from rppg_tf import jpeg_frame, video_reader
from tests import fake_recordings
from tools import mjpg_writer

_SIZE_PX = (64, 48)
_QUALITY = 95


@pytest.fixture(scope='module')
def good(tmp_path_factory):
  """A Motion-JPEG of 120 frames at 30 frames/s by cv2.VideoWriter."""
  folder = tmp_path_factory.mktemp('good') / 'subject1'
  return fake_recordings.write_recording(folder) / 'vid.avi'


def _read(path):
  pairs = list(video_reader.VideoReader(path))
  return np.array([f for f, _ in pairs]), np.array([t for _, t in pairs])


def _by_opencv(path):
  """Frames and times as cv2.VideoCapture gives them, decoded by FFmpeg."""
  video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
  frames, time_s = [], []
  while True:
    ok, frame = video.read()
    if not ok:
      return np.array(frames), np.array(time_s)
    frames.append(frame)
    time_s.append(video.get(cv2.CAP_PROP_POS_MSEC) / 1e3)


def _scenes(num_frames=10, height_px=_SIZE_PX[1]):
  """Smooth colours that change with time, uint8 BGR."""
  y, x = np.mgrid[:height_px, : _SIZE_PX[0]]
  return [
    np.stack([60 + x, 80 + y + 3 * t, 200 - x - t], axis=2).astype(np.uint8)
    for t in range(num_frames)
  ]


def _write_mjpg(path, frames, rate_hz=25.0):
  with mjpg_writer.MjpgWriter(path, rate_hz, *_SIZE_PX, _QUALITY) as writer:
    for frame in frames:
      writer.write(frame)


def test_frames_and_times(good):
  frames, time_s = _read(good)
  assert frames.shape == (fake_recordings.NUM_FRAMES, 240, 240, 3)
  np.testing.assert_allclose(
    time_s, np.arange(fake_recordings.NUM_FRAMES) / 30, atol=1e-6
  )
  reader = video_reader.VideoReader(good)
  assert reader.header_frames == fake_recordings.NUM_FRAMES
  assert reader.header_rate_hz == pytest.approx(30)


def test_motion_jpeg_is_the_jpegs_that_were_written(tmp_path):
  scenes = _scenes()
  _write_mjpg(tmp_path / 'vid.avi', scenes)
  frames, time_s = _read(tmp_path / 'vid.avi')
  options = (
    *(cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR),
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
  )
  for frame, scene in zip(frames, scenes, strict=True):
    jpeg = cv2.imencode('.jpg', scene, options)[1]
    np.testing.assert_array_equal(frame, cv2.imdecode(jpeg, cv2.IMREAD_COLOR))
  np.testing.assert_allclose(time_s, np.arange(10) / 25, atol=1e-6)


def test_motion_jpeg_is_near_to_what_ffmpeg_makes_of_it(good):
  frames, time_s = _read(good)
  others, other_s = _by_opencv(good)
  np.testing.assert_allclose(time_s, other_s, atol=1e-9)
  difference = frames.astype(int) - others
  # Colour is at half resolution there, and brought back in another way; FFmpeg
  # rounds down. What matters is that the difference does not change: by less
  # than half of the weakest pulse.
  assert np.abs(difference).mean() < 1
  assert difference.mean((1, 2)).std(0).max() < 0.05


@pytest.mark.parametrize(
  ('name', 'fourcc'), [('vid.mp4', 'mp4v'), ('vid.avi', 'FFV1')]
)
def test_other_codecs_are_left_to_ffmpeg(tmp_path, name, fourcc):
  path = tmp_path / name
  code = cv2.VideoWriter_fourcc(*fourcc)
  writer = cv2.VideoWriter(str(path), code, 25.0, _SIZE_PX)
  for scene in _scenes():
    writer.write(scene)
  writer.release()
  frames, time_s = _read(path)
  others, other_s = _by_opencv(path)
  np.testing.assert_array_equal(frames, others)
  np.testing.assert_allclose(time_s, other_s, atol=1e-9)


def test_interlaced_motion_jpeg_is_left_to_ffmpeg(tmp_path, monkeypatch):
  encode = cv2.imencode

  def encode_fields(kind, frame, options):
    fields = [encode(kind, frame[start::2], options)[1] for start in (0, 1)]
    return True, np.concatenate(fields)

  monkeypatch.setattr(mjpg_writer.cv2, 'imencode', encode_fields)
  path = tmp_path / 'vid.avi'
  _write_mjpg(path, _scenes())
  frames, _ = _read(path)
  assert frames.shape[1:] == (*_SIZE_PX[::-1], 3)
  np.testing.assert_array_equal(frames, _by_opencv(path)[0])


def test_a_jpeg_that_cannot_be_decoded_is_left_out(tmp_path, monkeypatch):
  encode = cv2.imencode
  calls = []

  def spoil_the_fifth(*arguments):
    calls.append(1)
    ok, jpeg = encode(*arguments)
    return ok, np.zeros_like(jpeg) if len(calls) == 5 else jpeg

  monkeypatch.setattr(mjpg_writer.cv2, 'imencode', spoil_the_fifth)
  path = tmp_path / 'vid.avi'
  _write_mjpg(path, _scenes())
  _, time_s = _read(path)
  np.testing.assert_allclose(
    25 * time_s, [0, 1, 2, 3, 5, 6, 7, 8, 9], atol=1e-4
  )


_SAMPLINGS = {
  '4:4:4': cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
  '4:2:2': cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
  '4:2:0': cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}


def _jpeg(frame, *options):
  jpeg = cv2.imencode('.jpg', frame, options)[1]
  return jpeg_frame.JpegFrame(jpeg.reshape(1, -1))


@pytest.mark.parametrize('sampling', _SAMPLINGS)
@pytest.mark.parametrize('flat', [False, True])
def test_upper_rows_of_a_jpeg_are_those_of_the_whole(sampling, flat, capfd):
  random = np.random.default_rng(3)
  frame = random.integers(0, 256, (240, 180, 3), np.uint8)
  frame[120 * (not flat) :] = 90
  jpeg = _jpeg(frame, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLINGS[sampling])
  whole = jpeg.decode()
  assert whole.shape == frame.shape
  for num_rows in range(1, 177):
    rows = jpeg.decode(num_rows)
    assert len(rows) == num_rows
    np.testing.assert_array_equal(rows, whole[:num_rows])
  # Of few rows more it is not worth it.
  np.testing.assert_array_equal(jpeg.decode(177), whole)
  assert capfd.readouterr().err == ''


@pytest.mark.parametrize(
  'option', ['IMWRITE_JPEG_RST_INTERVAL', 'IMWRITE_JPEG_PROGRESSIVE']
)
def test_jpegs_that_cannot_be_had_in_part_are_decoded_whole(option):
  jpeg = _jpeg(np.full((240, 180, 3), 90, np.uint8), getattr(cv2, option), 1)
  np.testing.assert_array_equal(jpeg.decode(5), jpeg.decode())
  assert len(jpeg.decode(5)) == 240


@pytest.mark.parametrize('num_rows', [None, 5])
def test_a_jpeg_that_breaks_off_is_none(num_rows):
  (packet,) = _jpeg(np.full((240, 180, 3), 90, np.uint8)).packet
  for share in (0, 3, 40, 200, len(packet) // 2):
    broken = jpeg_frame.JpegFrame(packet[None, :share])
    assert broken.decode(num_rows) is None


def test_a_video_cut_short_gives_what_is_there(good, tmp_path):
  path = tmp_path / 'cut.avi'
  path.write_bytes(good.read_bytes())
  fake_recordings.truncate(path)
  assert 0 < len(_read(path)[1]) < fake_recordings.NUM_FRAMES


def test_refusals(tmp_path):
  with pytest.raises(video_reader.VideoError, match='no such video; check'):
    video_reader.VideoReader(tmp_path / 'nothing.mp4')
  (tmp_path / 'junk.avi').write_bytes(b'junk')
  with pytest.raises(video_reader.VideoError, match='not a video that FFmpeg'):
    video_reader.VideoReader(tmp_path / 'junk.avi')
  with pytest.raises(video_reader.VideoError, match='camera 77: cannot be'):
    video_reader.VideoReader(77)
