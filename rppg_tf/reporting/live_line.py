"""What predict shows while it measures."""

from rppg_tf import contract
from rppg_tf.inference.meter import Estimate, HeartRateMeter


class LiveLine:
  """What is known now: one line, on a terminal rewritten in its place."""

  def __init__(self, stream, name: str = ''):
    """Begins with nothing.

    Args:
      stream: where to; a terminal or not.
      name: of one video among several: what is said begins with it, and off
        the terminal estimates are not.
    """
    self._stream = stream
    self._in_place = stream.isatty()
    self._name = name
    self._now = ''

  def __enter__(self) -> 'LiveLine':
    return self

  def __exit__(self, *_) -> None:
    if self._in_place and self._now:
      # Of several videos the summary takes its place.
      self._stream.write('\r\x1b[K' if self._name else '\n')
      self._stream.flush()

  def note(self, text: str) -> None:
    """Says something once, above the line."""
    start = '\r\x1b[K' if self._in_place else ''
    text = f'{self._name}: {text}' if self._name else text
    end = self._now if self._in_place else ''
    self._stream.write(f'{start}note: {text}\n{end}')
    self._stream.flush()

  def show(
    self,
    meter: HeartRateMeter,
    fresh: list[Estimate],
    face_in_view: bool,
  ) -> None:
    """Shows where the measurement stands.

    Args:
      meter: the measurement.
      fresh: its estimates since the last call.
      face_in_view: now.
    """
    if not self._in_place:
      for estimate in [] if self._name else fresh:
        self._stream.write(f'{describe(estimate)}\n')
      self._stream.flush()
      return
    if not meter.num_face_frames:
      self._now = 'looking for a face'
    elif not meter.estimates:
      left_s = max(contract.WINDOW_S - meter.elapsed_s, 0)
      self._now = f'first heart rate in {left_s:.0f} s'
    else:
      self._now = describe(meter.estimates[-1])
    if meter.num_face_frames and not face_in_view:
      self._now += '   no face in view'
    self._stream.write(f'\r\x1b[K{self._now}')
    self._stream.flush()


def describe(estimate: Estimate) -> str:
  """Returns one line for an estimate."""
  rate = f'{estimate.bpm:5.1f} BPM' if estimate.bpm is not None else ' withheld'
  return (
    f'{estimate.time_s:6.0f} s   {rate}   confidence {estimate.confidence:.2f}'
  )
