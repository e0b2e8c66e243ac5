"""Writes rendered recordings in the layout of UBFC-rPPG's second dataset.

    python -m tools.render_recordings --output_dir=build/rendered \\
      --num_recordings=36 --seed=1 --duration_s=20

makes OUTPUT_DIR/DATASET_2/subjectN/ with vid.avi (640x480), ground_truth.txt
(three lines: PPG, BPM, seconds; one column a frame) and render.json (what was
drawn: motion, pulse amplitude, tone...), by which a build of the dataset knows
that they are rendered. N starts at 101: UBFC's own run from 1 to 49. A
recording depends on --seed and N alone, not on how many are made or by how
many processes. Its folder appears when it is complete.

Video: Motion-JPEG, quality 95, colour in full resolution. The pulse is a tenth
of a grey level, and what a codec does to it differs. Measured on 6 renderings
of 10 s, 72 BPM, normal motion, one core: milliseconds a frame to encode and
decode by FFmpeg (CPU time, other jobs running; rppg_tf.video.reader takes half
of it where MJPG is 4:4:4), megabytes a minute, and the SNR of POS on
the inner regions (72 BPM and its double, +-6 BPM, against the rest of 40..240):

                               encode  decode  MB/min  SNR, dB
    no codec                                              3.6
    FFV1                         23.8    27.9     642     3.6
    HFYU                          2.9     7.0     802     3.6
    MJPG 4:4:4 q95 (this)         2.1     4.2     150     3.5
    raw I420                      1.1     0.4     830     3.2
    cv2.VideoWriter MJPG q100     5.6     2.0     120     3.2
    MJPG 4:2:2 q95                1.5     2.2     121     2.7
    MJPG 4:2:0 q95                1.2     1.8     108     2.9
    cv2.VideoWriter MJPG          5.7     1.9      99     2.9
    FFmpeg's MJPG                 2.9     1.3      32     0.4
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import shutil
import tempfile
from concurrent import futures

import cv2
import numpy as np
import tqdm
from absl import flags

from rppg_tf.data import provenance, ubfc
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.parallel.process_pool import process_pool
from rppg_tf.synthesis import head_renderer
from rppg_tf.synthesis import pulse as synthetic_pulse
from rppg_tf.video import mjpeg_writer

_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Where DATASET_2/subjectN/ is made.', required=True
)
_NUM_RECORDINGS = flags.DEFINE_integer(
  'num_recordings', 36, 'How many recordings to make.', lower_bound=1
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Same seed, same frames.', lower_bound=0
)
_DURATION_S = flags.DEFINE_float(
  'duration_s', 20.0, 'Length of each recording, seconds.', 1.0, 600.0
)
_MOTION = flags.DEFINE_enum(
  'motion',
  'normal',
  ['normal', 'strong'],
  'strong: twice the motion and change of light, talking and nodding.',
)
_STILL = flags.DEFINE_bool(
  'still', False, 'The head stands perfectly still; overrides --motion.'
)
_PULSE = flags.DEFINE_bool(
  'pulse', True, 'Paint the pulse; --nopulse leaves everything else the same.'
)
_HEART_RATE_BPM = flags.DEFINE_float(
  'heart_rate_bpm',
  None,
  'A rate held exactly, BPM; default: drawn per recording, variable.',
  synthetic_pulse.SLOWEST_BPM,
  synthetic_pulse.FASTEST_BPM,
)
_GROUND_TRUTH_DIR = flags.DEFINE_string(
  'ground_truth_dir',
  None,
  'Take real PPG and time stamps from DIR/subjectN/ground_truth.txt, file by '
  'file; default: synthetic.',
)
_FPS = flags.DEFINE_float(
  'fps',
  None,
  'Frames a second; default: drawn from 23..30, or with --ground_truth_dir '
  "the file's own stamps. The same person, pulse and motion at any rate that "
  'is given.',
  10.0,
  120.0,
)
_FIRST_SUBJECT = flags.DEFINE_integer(
  'first_subject', 101, 'Number of the first recording.', lower_bound=50
)
_NUM_WORKERS = flags.DEFINE_integer(
  'num_workers', None, 'Processes; default: one per core.', lower_bound=1
)

DATASET_NAME = 'DATASET_2'
JPEG_QUALITY = 95
# Of the folder that a recording is in while it is made.
_SCRATCH_PREFIX = '.rendering_'


@dataclasses.dataclass(frozen=True)
class Job:
  """One recording to make; plain values, so that a process can be sent it."""

  subject: int
  directory: str
  seed: int
  duration_s: float
  motion: str
  with_pulse: bool
  heart_rate_bpm: float | None
  fps: float | None
  ground_truth_path: str | None


@dataclasses.dataclass(frozen=True)
class Signals:
  """What a recording shows and is labelled with, frame by frame.

  Attributes:
    motion_duration_s: for how long the head's motion is drawn; None: to the
      last exposure.
  """

  pulse: synthetic_pulse.Pulse
  times: synthetic_pulse.CameraTimes
  device_rate_bpm: np.ndarray
  source: str
  motion_duration_s: float | None


def _synthetic_times(
  job: Job, rng: np.random.Generator, duration_s: float
) -> synthetic_pulse.CameraTimes:
  if job.fps is None:
    fps = rng.uniform(23.0, 30.0)
  else:
    # What is drawn for each frame must not change what is drawn after it.
    fps, (rng,) = job.fps, rng.spawn(1)
  return synthetic_pulse.camera_times(rng, duration_s, fps)


def _synthetic_signals(job: Job, rng: np.random.Generator) -> Signals:
  times = _synthetic_times(job, rng, job.duration_s)
  pulse = synthetic_pulse.synthesize_pulse(
    rng,
    job.duration_s,
    job.heart_rate_bpm,
    variable=job.heart_rate_bpm is None,
  )
  # Like a finger clip's display: late by seconds, whole numbers.
  rate_bpm = np.round(pulse.rate_at(np.maximum(times.stamp_s - 2.0, 0.0)))
  return Signals(
    pulse, times, rate_bpm, 'synthetic', _motion_duration_s(job, job.duration_s)
  )


def _real_signals(job: Job, rng: np.random.Generator) -> Signals:
  assert job.ground_truth_path is not None
  path = pathlib.Path(job.ground_truth_path)
  truth = ubfc.parse_ground_truth(path)
  length_s = float(truth.timestamp_s[-1] - truth.timestamp_s[0])
  duration_s = min(job.duration_s, length_s)
  start_s = rng.uniform(0.0, length_s - duration_s)
  pulse = synthetic_pulse.pulse_from_ground_truth(truth, duration_s, start_s)
  if job.fps is not None:
    times = _synthetic_times(job, rng, duration_s)
  else:
    times = synthetic_pulse.times_from_ground_truth(truth, duration_s, start_s)
  rate_bpm = pulse.rate_at(times.stamp_s)
  return Signals(
    pulse,
    times,
    rate_bpm,
    path.parent.name,
    _motion_duration_s(job, duration_s),
  )


def _motion_duration_s(job: Job, duration_s: float) -> float | None:
  """Twins at given rates end at exposures of their own, and must move alike."""
  return None if job.fps is None else duration_s


def _write_video(
  path: pathlib.Path, renderer: head_renderer.FaceRenderer, fps: float
):
  """Encodes every frame as MJPG.

  Raises:
    OSError: the file cannot be written.
  """
  size = (head_renderer.FRAME_WIDTH_PX, head_renderer.FRAME_HEIGHT_PX)
  with mjpeg_writer.MjpgWriter(path, fps, *size, JPEG_QUALITY) as writer:
    for frame in renderer.frames():
      writer.write(frame)


def _write_ground_truth(path: pathlib.Path, signals: Signals):
  """Three lines like UBFC's, one column a frame."""
  stamp_s = signals.times.stamp_s
  rows = (signals.pulse.at(stamp_s), signals.device_rate_bpm, stamp_s)
  lines = ['   '.join(f'{value:.7e}' for value in row) for row in rows]
  path.write_text(''.join(f'   {line}\n' for line in lines), encoding='ascii')


def _write_parameters(
  path: pathlib.Path,
  job: Job,
  parameters: head_renderer.RecordingParameters,
  signals: Signals,
):
  stamp_s = signals.times.stamp_s
  rate_bpm = signals.pulse.rate_at(stamp_s)
  values = dataclasses.asdict(parameters) | {
    'subject': job.subject,
    'ppg_source': signals.source,
    'num_frames': int(stamp_s.size),
    'duration_s': float(stamp_s[-1]),
    'fps': float((stamp_s.size - 1) / stamp_s[-1]),
    'mean_rate_bpm': float(rate_bpm.mean()),
    'min_rate_bpm': float(rate_bpm.min()),
    'max_rate_bpm': float(rate_bpm.max()),
  }
  path.write_text(json.dumps(values, indent=2, sort_keys=True) + '\n')


def render_recording(job: Job) -> int:
  """Makes one recording; its folder appears under its name when complete.


  Args:
    job: what to make.

  Returns:
    The number of its frames.

  Raises:
    ValueError: unusable ground truth.
    OSError: the folder exists or cannot be written.
  """
  cv2.setNumThreads(1)
  root = np.random.SeedSequence([job.seed, job.subject])
  frame_seed = int(root.generate_state(1, np.uint64)[0])
  rng = np.random.default_rng(root)
  signals = (_real_signals if job.ground_truth_path else _synthetic_signals)(
    job, rng
  )
  parameters = head_renderer.draw_parameters(
    frame_seed, job.motion, job.with_pulse
  )
  renderer = head_renderer.FaceRenderer(
    parameters,
    signals.pulse,
    signals.times.exposure_s,
    signals.motion_duration_s,
  )
  parent = pathlib.Path(job.directory)
  with _scratch_folder(parent) as scratch:
    fps = (len(renderer) - 1) / signals.times.stamp_s[-1]
    _write_video(scratch / ubfc.VIDEO_NAME, renderer, fps)
    truth_path = scratch / ubfc.GROUND_TRUTH_NAME
    _write_ground_truth(truth_path, signals)
    _write_parameters(
      scratch / provenance.RENDER_PARAMETERS, job, parameters, signals
    )
    scratch.chmod(0o755)
    scratch.rename(parent / f'subject{job.subject}')
  return len(renderer)


@contextlib.contextmanager
def _scratch_folder(parent: pathlib.Path):
  """Makes a hidden folder, locked by this process; removed if still there."""
  scratch = pathlib.Path(tempfile.mkdtemp(prefix=_SCRATCH_PREFIX, dir=parent))
  lock = _try_lock(scratch)
  try:
    yield scratch
  finally:
    shutil.rmtree(scratch, ignore_errors=True)
    if lock is not None:
      os.close(lock)


def _try_lock(folder: pathlib.Path) -> int | None:
  """Locks a folder for as long as this process lives.

  Returns:
    A descriptor to close; None if a living process has locked it.
  """
  descriptor = os.open(folder, os.O_RDONLY)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    os.close(descriptor)
    return None
  return descriptor


def _remove_leftovers(directory: pathlib.Path) -> None:
  """Removes what renders that were killed have left behind."""
  for scratch in directory.glob(f'{_SCRATCH_PREFIX}*'):
    lock = _try_lock(scratch)
    if lock is not None:
      shutil.rmtree(scratch)
      os.close(lock)


def _jobs() -> list[Job]:
  """Every recording the flags ask for.

  Raises:
    ValueError: no usable ground truth.
    InputError: a recording is there already.
  """
  directory = pathlib.Path(_OUTPUT_DIR.value) / DATASET_NAME
  truths = [None]
  if _GROUND_TRUTH_DIR.value is not None:
    truths = ubfc.find_ground_truths(_GROUND_TRUTH_DIR.value)
    for path in truths:
      ubfc.parse_ground_truth(path)
  jobs = []
  for index in range(_NUM_RECORDINGS.value):
    subject = _FIRST_SUBJECT.value + index
    if (directory / f'subject{subject}').exists():
      raise InputError(
        f'{directory}: expected no subject{subject}, got one; give another '
        '--output_dir or --first_subject, or remove it'
      )
    truth = truths[index % len(truths)]
    jobs.append(
      Job(
        subject=subject,
        directory=str(directory),
        seed=_SEED.value,
        duration_s=_DURATION_S.value,
        motion='still' if _STILL.value else _MOTION.value,
        with_pulse=_PULSE.value,
        heart_rate_bpm=_HEART_RATE_BPM.value,
        fps=_FPS.value,
        ground_truth_path=None if truth is None else str(truth),
      )
    )
  return jobs


def _render_all(jobs: list[Job]) -> int:
  """Renders on all cores; returns the number of frames."""
  cores = len(os.sched_getaffinity(0))
  workers = min(_NUM_WORKERS.value or cores, len(jobs))
  frames = 0
  with (
    process_pool(workers) as pool,
    tqdm.tqdm(total=len(jobs), unit='recording') as bar,
  ):
    running = [pool.submit(render_recording, job) for job in jobs]
    try:
      for done in futures.as_completed(running):
        frames += done.result()
        bar.update()
    except BaseException:
      pool.shutdown(wait=False, cancel_futures=True)
      raise
  return frames


def main() -> None:
  """Renders what the flags ask for."""
  if _GROUND_TRUTH_DIR.value and _HEART_RATE_BPM.value:
    raise InputError(
      'expected --ground_truth_dir or --heart_rate_bpm, got both; drop one'
    )
  if not _OUTPUT_DIR.value:
    raise InputError('--output_dir: expected a folder, got nothing; name one')
  try:
    jobs = _jobs()
    directory = pathlib.Path(jobs[0].directory)
    directory.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(directory)
    frames = _render_all(jobs)
  except ValueError as error:
    # Of a ground truth that cannot be used.
    raise InputError(str(error)) from error
  print(f'{len(jobs)} recordings, {frames} frames in {directory}')


if __name__ == '__main__':
  run(main)
