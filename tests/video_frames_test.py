"""Frames as they are to be shown: deinterlaced, turned, mirrored."""

import struct
import zlib
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from rppg_tf import video_reader
from tests import small_videos
from tools import mjpg_writer

# --- Interlaced ---------------------------------------------------------------


def _bars(num_frames=8):
  """An edge that moves by 6 pixels from field to field, uint8 BGR."""
  x = np.arange(small_videos.SIZE_PX[0])
  frames = np.empty((num_frames, *small_videos.SIZE_PX[::-1], 3), np.uint8)
  for t in range(num_frames):
    for field in (0, 1):
      row = np.where(x < 6 * (2 * t + field) % 48 + 8, 60, 190)
      frames[t, field::2] = row[:, None]
  return list(frames)


def _write_fields(path, frames, monkeypatch):
  """Motion-JPEG of two JPEGs a frame."""
  encode = cv2.imencode

  def encode_fields(kind, frame, options):
    fields = [encode(kind, frame[start::2], options)[1] for start in (0, 1)]
    return True, np.concatenate(fields)

  monkeypatch.setattr(mjpg_writer.cv2, 'imencode', encode_fields)
  small_videos.write_mjpg(path, frames)


@pytest.mark.parametrize('kind', ['mpeg2video', 'libx264', 'mjpeg'])
def test_interlaced_video_is_deinterlaced(kind, tmp_path, monkeypatch):
  frames = _bars()
  path = tmp_path / ('vid.avi' if kind == 'mjpeg' else 'vid.mkv')
  if kind == 'mjpeg':
    _write_fields(path, frames, monkeypatch)
  else:
    options = {'flags': '+ilme+ildct', 'b': '4000k', 'x264-params': 'tff=1'}
    small_videos.encode(path, frames, kind, **options)
  got, time_s = small_videos.read(path)
  assert got.shape == (8, *small_videos.SIZE_PX[::-1], 3)
  np.testing.assert_allclose(time_s - time_s[0], np.arange(8) / 25, atol=2e-3)
  # Rows of the other field stand out by 130; what is left is interpolated.
  combs = [np.abs(np.diff(f.astype(int), axis=0)).mean() for f in frames]
  left = [np.abs(np.diff(f.astype(int), axis=0)).mean() for f in got]
  assert np.mean(left) < 0.25 * np.mean(combs)
  # The rows of one field are as they were.
  difference = np.abs(got.astype(int) - frames)
  assert min(difference[:, start::2].mean() for start in (0, 1)) < 6


# --- Orientation --------------------------------------------------------------

_TURNS = {
  (0, False, True): lambda frame: frame[::-1],
  (0, True, False): lambda frame: frame[:, ::-1],
  (180, False, False): lambda frame: frame[::-1, ::-1],
  (90, False, False): np.rot90,
  (-90, False, False): lambda frame: np.rot90(frame, -1),
  (90, True, False): lambda frame: np.rot90(frame)[:, ::-1],
  (90, False, True): lambda frame: np.rot90(frame)[::-1],
}


@pytest.mark.parametrize('rotation', _TURNS)
def test_the_display_matrix_is_applied(rotation, tmp_path):
  scenes = small_videos.scenes(3)
  small_videos.encode(tmp_path / 'plain.mp4', scenes)
  small_videos.encode(tmp_path / 'turned.mp4', scenes, rotation=rotation)
  plain, _ = small_videos.read(tmp_path / 'plain.mp4')
  turned, _ = small_videos.read(tmp_path / 'turned.mp4')
  for frame, other in zip(plain, turned, strict=True):
    np.testing.assert_array_equal(other, _TURNS[rotation](frame))


def _with_exif(jpeg, orientation=6):
  tiff = b'II*\0' + struct.pack('<IHHHIHH', 8, 1, 0x112, 3, 1, orientation, 0)
  body = b'Exif\0\0' + tiff + bytes(4)
  head = b'\xff\xe1' + struct.pack('>H', 2 + len(body))
  segment = np.frombuffer(head + body, np.uint8)
  return np.concatenate([jpeg[:2], segment, jpeg[2:]])


def test_exif_of_a_camera_changes_nothing(tmp_path, monkeypatch):
  small_videos.write_mjpg(tmp_path / 'plain.avi', small_videos.scenes())
  encode = cv2.imencode
  monkeypatch.setattr(
    mjpg_writer.cv2,
    'imencode',
    lambda *arguments: (True, _with_exif(encode(*arguments)[1])),
  )
  small_videos.write_mjpg(tmp_path / 'exif.avi', small_videos.scenes())
  reader = video_reader.VideoReader(tmp_path / 'exif.avi')
  jpegs = [frame for frame, _ in reader.stored()]
  assert jpegs[0].without_exif() != jpegs[0].packet.tobytes()
  np.testing.assert_array_equal(
    [jpeg.decode() for jpeg in jpegs],
    small_videos.read(tmp_path / 'plain.avi')[0],
  )


def _png(frame, orientation):
  """PNG that holds Exif."""
  png = cv2.imencode('.png', frame)[1].tobytes()
  kind = b'eXIf' + b'II*\0'
  kind += struct.pack('<IHHHIHHI', 8, 1, 0x112, 3, 1, orientation, 0, 0)
  crc = struct.pack('>I', zlib.crc32(kind))
  return png[:33] + struct.pack('>I', len(kind) - 4) + kind + crc + png[33:]


def test_frames_with_exif_are_turned_by_ffmpeg(tmp_path):
  path = tmp_path / 'vid.mov'
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('png', rate=25)
    stream.width, stream.height, stream.pix_fmt = *small_videos.SIZE_PX, 'rgb24'
    stream.codec_context.open()
    for number, scene in enumerate(small_videos.scenes(3)):
      packet = av.Packet(_png(scene, 6))
      packet.stream, packet.time_base = stream, Fraction(1, 25)
      packet.pts = packet.dts = number
      container.mux(packet)
  frames, _ = small_videos.read(path)
  np.testing.assert_array_equal(
    frames, [np.rot90(s, -1) for s in small_videos.scenes(3)]
  )
