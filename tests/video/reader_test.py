"""The reader of every video: frames, times, and Motion-JPEG by itself."""

import ctypes
import itertools
import os
import pathlib
import struct
import threading
import wave

import av
import cv2
import numpy as np
import pytest

from rppg_tf.video import file, jpeg_complaints, jpeg_frame, mjpeg_writer
from rppg_tf.video import reader as video_reader
from tests.support import fake_recordings, small_videos


@pytest.fixture(scope='module')
def good(tmp_path_factory):
  """A Motion-JPEG of 120 frames at 30 frames/s by cv2.VideoWriter."""
  folder = tmp_path_factory.mktemp('good') / 'subject1'
  return fake_recordings.write_recording(folder) / 'vid.avi'


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


def test_frames_and_times(good):
  frames, time_s = small_videos.read(good)
  assert frames.shape == (fake_recordings.NUM_FRAMES, 240, 240, 3)
  np.testing.assert_allclose(
    time_s, np.arange(fake_recordings.NUM_FRAMES) / 30, atol=1e-6
  )
  reader = video_reader.VideoReader(good)
  assert reader.header_frames == fake_recordings.NUM_FRAMES
  assert reader.header_rate_hz == pytest.approx(30)


def test_motion_jpeg_is_the_jpegs_that_were_written(tmp_path):
  scenes = small_videos.scenes()
  small_videos.write_mjpg(tmp_path / 'vid.avi', scenes)
  frames, time_s = small_videos.read(tmp_path / 'vid.avi')
  options = (
    *(
      cv2.IMWRITE_JPEG_QUALITY,
      small_videos.QUALITY,
      cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    ),
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
  )
  for frame, scene in zip(frames, scenes, strict=True):
    jpeg = cv2.imencode('.jpg', scene, options)[1]
    np.testing.assert_array_equal(frame, cv2.imdecode(jpeg, cv2.IMREAD_COLOR))
  np.testing.assert_allclose(time_s, np.arange(10) / 25, atol=1e-6)


def test_motion_jpeg_is_near_to_what_ffmpeg_makes_of_it(good):
  frames, time_s = small_videos.read(good)
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
  writer = cv2.VideoWriter(str(path), code, 25.0, small_videos.SIZE_PX)
  for scene in small_videos.scenes():
    writer.write(scene)
  writer.release()
  frames, time_s = small_videos.read(path)
  others, other_s = _by_opencv(path)
  np.testing.assert_array_equal(frames, others)
  np.testing.assert_allclose(time_s, other_s, atol=1e-9)


# --- Damage -------------------------------------------------------------------


def _without_scan(jpeg):
  return np.zeros_like(jpeg)


def _without_end(jpeg):
  """libjpeg: Corrupt JPEG data: premature end of data segment."""
  return np.concatenate([jpeg[:-40], jpeg[-2:]])


@pytest.mark.parametrize('spoil', [_without_scan, _without_end])
def test_a_jpeg_that_is_damaged_is_left_out(
  spoil, tmp_path, monkeypatch, capfd
):
  encode = cv2.imencode
  calls = []

  def spoil_the_fifth(*arguments):
    calls.append(1)
    ok, jpeg = encode(*arguments)
    return ok, spoil(jpeg) if len(calls) == 5 else jpeg

  monkeypatch.setattr(mjpeg_writer.cv2, 'imencode', spoil_the_fifth)
  path = tmp_path / 'vid.avi'
  small_videos.write_mjpg(path, small_videos.scenes())
  _, time_s = small_videos.read(path)
  np.testing.assert_allclose(
    25 * time_s, [0, 1, 2, 3, 5, 6, 7, 8, 9], atol=1e-4
  )
  assert capfd.readouterr().err == ''


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
  assert 0 < len(small_videos.read(path)[1]) < fake_recordings.NUM_FRAMES


def _chunks(avi):
  """Offset and length of each frame's chunk in an AVI of MjpgWriter."""
  at, found = avi.index(b'movi') + 4, []
  while avi[at : at + 4] == b'00dc':
    (length,) = struct.unpack('<I', avi[at + 4 : at + 8])
    found.append((at, 8 + length + length % 2))
    at += found[-1][1]
  return found


def test_behind_a_hole_in_an_avi_times_are_as_before(tmp_path):
  path = tmp_path / 'vid.avi'
  small_videos.write_mjpg(path, small_videos.scenes(20))
  avi = bytearray(path.read_bytes())
  (start, _), (end, _) = (_chunks(avi)[n] for n in (8, 11))
  avi[start:end] = bytes(end - start)
  path.write_bytes(avi)
  reader = video_reader.VideoReader(path)
  numbers = [round(25 * time_s) for _, time_s in reader]
  assert numbers == [*range(8), *range(11, 20)]
  assert (reader.num_stored, reader.num_missing) == (20, 0)


def test_raw_video_is_read_on_behind_a_frame_that_is_too_short(tmp_path):
  path = tmp_path / 'vid.avi'
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('rawvideo', rate=25)
    stream.width, stream.height, stream.pix_fmt = *small_videos.SIZE_PX, 'bgr24'
    for number, scene in enumerate(small_videos.scenes()):
      frame = av.VideoFrame.from_ndarray(scene, 'bgr24')
      for packet in stream.encode(frame):
        short = av.Packet(bytes(packet)[: 99 if number == 4 else None])
        short.stream, short.pts, short.dts = stream, packet.pts, packet.dts
        short.time_base = packet.time_base
        container.mux(short)
  reader = video_reader.VideoReader(path)
  frames = [frame for frame, _ in reader]
  assert (len(frames), reader.num_stored) == (9, 10)
  np.testing.assert_array_equal(frames[-1], small_videos.scenes()[-1])


def test_what_others_print_meanwhile_is_printed(capfd):
  with jpeg_complaints.heard() as complaints:
    thread = threading.Thread(target=_print_on_stderr, args=(b'other\n',))
    thread.start()
    thread.join()
    _print_on_stderr(b'own\n')
  _print_on_stderr(b'later\n')
  assert complaints == [b'own\n']
  assert capfd.readouterr().err == 'other\nlater\n'


def _print_on_stderr(text):
  libc = ctypes.CDLL(None)
  libc.fputs.argtypes = ctypes.c_char_p, ctypes.c_void_p
  libc.fputs(text, ctypes.c_void_p.in_dll(libc, 'stderr'))


def test_padding_of_a_jpeg_is_no_damage():
  packet = _jpeg(np.full((240, 180, 3), 90, np.uint8)).packet[0]
  for num_bytes, is_good in ((8, True), (40, False)):
    padded = np.concatenate(
      [packet[:-2], np.full(num_bytes, 17, np.uint8), packet[-2:]]
    )
    frame = jpeg_frame.JpegFrame(padded[None]).decode()
    assert (frame is not None) == is_good


def test_a_video_that_breaks_off_says_how_much_is_missing(good, tmp_path):
  path = tmp_path / 'cut.avi'
  path.write_bytes(good.read_bytes())
  fake_recordings.truncate(path)
  reader = video_reader.VideoReader(path)
  assert len(list(reader)) < reader.num_stored + reader.num_missing == 120


def test_a_count_that_cannot_be_is_not_believed(tmp_path):
  path = tmp_path / 'vid.avi'
  small_videos.write_mjpg(path, small_videos.scenes())
  avi = bytearray(path.read_bytes())
  # dwLength of the stream's header.
  at = avi.index(b'strh') + 8 + 32
  assert avi[at : at + 4] == struct.pack('<I', 10)
  avi[at : at + 4] = b'\xff' * 4
  path.write_bytes(avi)
  reader = video_reader.VideoReader(path)
  assert (len(list(reader)), reader.num_missing) == (10, 0)


# --- Names, times and refusals ------------------------------------------------


class _OneStumble:
  """A container in which, after five packets, a stream begins."""

  def __init__(self, container):
    self._container = container
    self._has_stumbled = False

  def __getattr__(self, name):
    return getattr(self._container, name)

  def demux(self, stream):
    packets = self._container.demux(stream)
    if not self._has_stumbled:
      yield from itertools.islice(packets, 5)
      self._has_stumbled = True
      raise IndexError('list index out of range')  # as PyAV 18 does
    yield from packets


def test_a_stream_that_begins_in_the_middle_ends_nothing(good, monkeypatch):
  opened = av.open
  monkeypatch.setattr(
    file.av,
    'open',
    lambda *args, **kwargs: _OneStumble(opened(*args, **kwargs)),
  )
  frames, _ = small_videos.read(good)
  assert len(frames) == fake_recordings.NUM_FRAMES


@pytest.mark.parametrize('name', [b'10:22:33.avi', b'caf\xe9.avi', b'%03d.avi'])
def test_any_file_name_is_opened(good, tmp_path, name):
  path = os.fsdecode(os.fsencode(tmp_path) + b'/' + name)
  pathlib.Path(path).write_bytes(good.read_bytes())
  assert len(small_videos.read(path)[0]) == fake_recordings.NUM_FRAMES


def test_a_tilde_is_the_home_folder(good, monkeypatch):
  monkeypatch.setenv('HOME', str(good.parent))
  assert video_reader.VideoReader('~/vid.avi').header_frames == 120
  with pytest.raises(video_reader.VideoError, match=r'^a\\nb: no such'):
    video_reader.VideoReader('a\nb')


@pytest.mark.parametrize('rate', ['', ' F0:0'])
def test_y4m_without_a_rate_needs_one(rate, tmp_path):
  path = tmp_path / 'vid.y4m'
  frame = b'FRAME\n' + bytes(64 * 48 * 3 // 2)
  path.write_bytes(f'YUV4MPEG2 W64 H48{rate}\n'.encode() + 3 * frame)
  with pytest.raises(video_reader.VideoError, match=r'without times.*--fps'):
    video_reader.VideoReader(path)


@pytest.mark.parametrize('name', ['vid.mjpeg', 'vid.h264'])
def test_a_stream_without_times_needs_a_rate(tmp_path, name):
  path = tmp_path / name
  if name == 'vid.h264':
    small_videos.encode(path, small_videos.scenes())
  else:
    jpegs = [cv2.imencode('.jpg', scene)[1] for scene in small_videos.scenes()]
    path.write_bytes(b''.join(jpeg.tobytes() for jpeg in jpegs))
  with pytest.raises(video_reader.VideoError, match=r'without times.*--fps'):
    video_reader.VideoReader(path)
  pairs = list(video_reader.VideoReader(path, rate_hz=20))
  np.testing.assert_allclose([at for _, at in pairs], np.arange(10) / 20)


def test_frames_that_change_size_are_refused(tmp_path, monkeypatch):
  encode = cv2.imencode
  large, small = small_videos.SIZE_PX, (32, 24)
  sizes = itertools.chain([large] * 9, itertools.repeat(small))
  monkeypatch.setattr(
    mjpeg_writer.cv2,
    'imencode',
    lambda kind, frame, options: encode(
      kind, cv2.resize(frame, next(sizes)), options
    ),
  )
  path = tmp_path / 'vid.avi'
  small_videos.write_mjpg(path, small_videos.scenes(12))
  assert len(small_videos.read(path)[0]) == 9
  sizes = itertools.chain([large], itertools.repeat(small))
  small_videos.write_mjpg(path, small_videos.scenes(12))
  with pytest.raises(video_reader.VideoError, match='64x48 to 32x24'):
    small_videos.read(path)


def test_what_is_no_video_is_named(tmp_path):
  picture = tmp_path / 'face.jpg'
  cv2.imwrite(str(picture), small_videos.scenes()[0])
  sound = tmp_path / 'sound.wav'
  with wave.open(str(sound), 'wb') as file:
    file.setparams((1, 2, 8000, 0, 'NONE', ''))
    file.writeframes(bytes(8000))
  for path, reason in (
    (picture, 'a picture, not a video'),
    (sound, 'no pictures in it, only audio'),
    (tmp_path, 'a folder, not a video'),
  ):
    with pytest.raises(video_reader.VideoError, match=reason):
      video_reader.VideoReader(path)


def test_refusals(tmp_path):
  with pytest.raises(video_reader.VideoError, match='no such video; check'):
    video_reader.VideoReader(tmp_path / 'nothing.mp4')
  (tmp_path / 'junk.avi').write_bytes(b'junk')
  with pytest.raises(video_reader.VideoError, match='not a video that FFmpeg'):
    video_reader.VideoReader(tmp_path / 'junk.avi')
  with pytest.raises(video_reader.VideoError, match='camera 77: cannot be'):
    video_reader.VideoReader(77)
