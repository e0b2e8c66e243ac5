"""What compression leaves of a rendered piece of video."""

import io

import av
import cv2
import numpy as np

CODECS = ('none', 'jpeg', 'mpeg4', 'h264')


def compressed(
  rng: np.random.Generator, frames: np.ndarray, codec: str
) -> np.ndarray:
  """Encodes and decodes a piece of video at a drawn quality.

  Args:
    rng: draws the quality.
    frames: uint8 (num_frames, height, width, 3), R, G, B; even sides.
    codec: one of CODECS.

  Returns:
    The same frames as a player would show them.
  """
  if codec == 'none':
    return frames
  if codec == 'jpeg':
    return _jpeg(frames, int(rng.integers(82, 100)), bool(rng.integers(2)))
  if codec == 'h264':
    options = {'preset': 'superfast', 'crf': str(rng.integers(6, 20))}
    return _container(frames, 'libx264', options)
  if codec != 'mpeg4':
    raise ValueError(f'codec: expected one of {CODECS}, got {codec!r}')
  quantiser = str(rng.integers(1, 4))
  options = {'qmin': quantiser, 'qmax': quantiser, 'g': '12'}
  return _container(frames, 'mpeg4', options)


def _jpeg(frames: np.ndarray, quality: int, full_colour: bool) -> np.ndarray:
  sampling = (
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    if full_colour
    else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
  )
  parameters = [
    cv2.IMWRITE_JPEG_QUALITY,
    quality,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    sampling,
  ]
  decoded = np.empty_like(frames)
  for frame, target in zip(frames, decoded, strict=True):
    _, packet = cv2.imencode('.jpg', frame[:, :, ::-1], parameters)
    target[:] = cv2.imdecode(packet, cv2.IMREAD_COLOR_RGB)
  return decoded


def _container(frames: np.ndarray, codec: str, options: dict) -> np.ndarray:
  """Through a video codec in a file held in memory."""
  file = io.BytesIO()
  with av.open(file, 'w', format='matroska') as container:
    stream = container.add_stream(codec, rate=30, options=options)
    assert isinstance(stream, av.VideoStream)
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = 'yuv420p'
    stream.codec_context.thread_count = 1
    for frame in frames:
      picture = av.VideoFrame.from_ndarray(frame, 'rgb24')
      container.mux(stream.encode(picture))
    container.mux(stream.encode())
  file.seek(0)
  decoded = np.empty_like(frames)
  with av.open(file, 'r') as written:
    written.streams.video[0].codec_context.thread_count = 1
    for index, picture in enumerate(written.decode(video=0)):
      decoded[index] = picture.to_ndarray(format='rgb24')
  return decoded
