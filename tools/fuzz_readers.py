"""Shows damaged and odd videos to everything that reads videos.

  python -m tools.fuzz_readers --work_dir=build/fuzz --real_video=FACE.mp4

makes some 900 files in WORK_DIR/variants out of a rendered clip of 72 BPM and,
if given, a real one; then runs `python -m rppg_tf.predict --video=FILE
--json=...` on each, and the reader of the dataset build on those in AVI. The
same --seed makes the same files; what is there is kept.

Each must be measured to 3 BPM, withheld, or refused in one line with an exit
code other than 0. A fault is: crash, hang, traceback, noise (more than one
line of error, or lines of a library), a wrong rate, a whole file that is not
read, a file left behind by what was refused. Faults are listed, and make the
exit code 1. About half an hour on 2 idle cores.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from concurrent import futures

import numpy as np
from absl import flags

from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools import markdown
from tools.fuzzing import damage, media, streams
from tools.fuzzing import names as fuzz_names
from tools.fuzzing import runs as fuzz_runs
from tools.fuzzing import variants as fuzz_variants

_WORK_DIR = flags.DEFINE_string(
  'work_dir', 'build/fuzz', 'Folder of the variants, made if missing.'
)
_REAL_VIDEO = flags.DEFINE_string(
  'real_video', None, 'A real face, to be made variants of too.'
)
_REAL_RATE_BPM = flags.DEFINE_float(
  'real_rate_bpm', 75.3, 'Its heart rate, BPM.', 30.0, 240.0
)
_SEED = flags.DEFINE_integer('seed', 1, 'Of the damage.', lower_bound=0)
_ONLY = flags.DEFINE_string(
  'only', '', 'Regular expression: KIND/NAME of the variants wanted; all.'
)
_NUM_JOBS = flags.DEFINE_integer(
  'num_jobs', 2, 'Readers that run at a time.', lower_bound=1
)
_TIME_LIMIT_S = flags.DEFINE_float(
  'time_limit_s',
  30.0,
  'A reader that takes more processor time hangs, seconds.',
  1.0,
)

_SIZE_PX = (320, 240)
_NUM_FRAMES = 360
_RENDERED_BPM = 72.0
_RECORDING = pathlib.Path('rendered', 'DATASET_2', 'subject101')
_ROOT = pathlib.Path(__file__).parents[1]


def main() -> int:
  """Makes, reads, counts."""
  os.environ['SVT_LOG'] = '0'  # which its encoder reads
  if _REAL_VIDEO.value and not pathlib.Path(_REAL_VIDEO.value).is_file():
    raise InputError(f'--real_video={_REAL_VIDEO.value}: no such video')
  work_dir = pathlib.Path(_WORK_DIR.value)
  variants_dir = work_dir / 'variants'
  variants_dir.mkdir(parents=True, exist_ok=True)
  variants = _variants(work_dir)
  variants = [
    v for v in variants if re.search(_ONLY.value, f'{v.kind}/{v.name}')
  ]
  # Drawn, so that the first minutes show faults of every kind.
  np.random.default_rng(_SEED.value).shuffle(variants)
  if not variants:
    raise InputError(f'--only={_ONLY.value}: no variant has such a name')
  outcomes = _read_all(variants, work_dir)
  _report(outcomes, work_dir)
  return int(any(outcome.is_fault for outcome in outcomes))


def _variants(work_dir: pathlib.Path) -> list[fuzz_variants.Variant]:
  """Every variant; writes the clips that they are made of."""
  rng = np.random.default_rng(_SEED.value)
  sources = work_dir / 'sources'
  sources.mkdir(exist_ok=True)
  rendered = _rendered(work_dir)
  whole = damage.carriers(rendered, sources)
  variants = [
    *fuzz_variants.formats(rendered),
    *fuzz_variants.matrices(rendered),
    *fuzz_variants.interlaced(rendered),
    *streams.times(rendered, rng),
    *streams.streams(rendered),
    *streams.sizes(rendered),
    *streams.joined(rendered, sources),
    *damage.damaged(rendered, whole, _SEED.value),
    *damage.headers(rendered, whole),
    *fuzz_names.no_videos(_SEED.value),
    *fuzz_names.names(whole['mjpeg.avi'], rendered.rate_bpm),
  ]
  if _REAL_VIDEO.value:
    path = pathlib.Path(_REAL_VIDEO.value)
    frames = media.read_bgr(path, _SIZE_PX, _NUM_FRAMES)
    real = fuzz_variants.Clip('real', path, frames, _REAL_RATE_BPM.value)
    variants += fuzz_variants.real_formats(real)
    variants += damage.damaged(real, {'as-it-is.mp4': path}, _SEED.value)
  names = collections.Counter(variant.name for variant in variants)
  assert max(names.values()) == 1, names.most_common(1)
  return variants


def _rendered(work_dir: pathlib.Path) -> fuzz_variants.Clip:
  """Renders the clip, if it is not there yet."""
  path = work_dir / _RECORDING / 'vid.avi'
  if not path.exists():
    render = (
      *(sys.executable, '-m', 'tools.render_recordings'),
      *(f'--output_dir={(work_dir / "rendered").absolute()}', '--seed=7'),
      *('--num_recordings=1', f'--duration_s={_NUM_FRAMES / 30}', '--fps=30'),
      f'--heart_rate_bpm={_RENDERED_BPM}',
    )
    subprocess.run(render, cwd=_ROOT, check=True, stderr=subprocess.DEVNULL)
  frames = media.read_bgr(path, _SIZE_PX, _NUM_FRAMES)
  return fuzz_variants.Clip('rendered', path, frames, _RENDERED_BPM)


def _make(variant: fuzz_variants.Variant, folder: pathlib.Path) -> None:
  """Writes what is not there yet."""
  path = folder / variant.name
  if os.path.lexists(path):
    return
  with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
    half_made = pathlib.Path(scratch, f'half-made{path.suffix}')
    variant.make(half_made)
    # SVT-AV1 makes of root's threads that call it such that none can interrupt.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if os.path.lexists(half_made):
      half_made.rename(path)


def _read_all(variants, work_dir: pathlib.Path) -> list[fuzz_runs.Outcome]:
  """Makes and reads; tells faults as they are found."""
  runner = fuzz_runs.Runner(
    work_dir, work_dir / _RECORDING / 'ground_truth.txt', _TIME_LIMIT_S.value
  )

  def read(variant) -> list[fuzz_runs.Outcome]:
    try:
      _make(variant, work_dir / 'variants')
    except (ValueError, OSError) as error:
      detail = f'{type(error).__name__}: {error}'
      unmade = (variant.name, variant.kind, 'none', 'not made', detail)
      outcomes = [fuzz_runs.Outcome(*unmade)]
    else:
      outcomes = runner.read(variant)
    for outcome in outcomes:
      if outcome.is_fault:
        print(outcome.line(), flush=True)
    return outcomes

  with futures.ThreadPoolExecutor(_NUM_JOBS.value) as pool:
    return [outcome for group in pool.map(read, variants) for outcome in group]


def _report(outcomes, work_dir: pathlib.Path) -> None:
  """Prints counts by kind and class; writes all as JSON."""
  kinds = collections.Counter(
    (f'{o.reader}: {o.kind}', o.what) for o in outcomes
  )
  whats = sorted({what for _, what in kinds})
  counts = {
    row: [kinds[row, what] for what in whats]
    for row in dict.fromkeys(row for row, _ in kinds)
  }
  counts['all'] = [sum(column) for column in zip(*counts.values(), strict=True)]
  rows = [
    [row, *map(str, [*numbers, sum(numbers)])]
    for row, numbers in counts.items()
  ]
  print(markdown.table(['', *whats, 'all'], rows))
  faults = [outcome for outcome in outcomes if outcome.is_fault]
  num_variants = len({outcome.name for outcome in outcomes})
  print(f'{num_variants} variants, {len(outcomes)} runs, {len(faults)} faults')
  path = work_dir / 'outcomes.json'
  path.write_text(json.dumps([o._asdict() for o in outcomes], indent=1))


if __name__ == '__main__':
  run(main)
