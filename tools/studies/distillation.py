"""Errors of students and teachers, several seeds each → table, verdict."""

import statistics
from collections.abc import Mapping, Sequence

from tools import markdown

STUDENT, TEACHER, DISTILLED = 'student alone', 'teacher', 'distilled student'


def table(results: Mapping[str, Sequence[Mapping]]) -> str:
  """Returns a Markdown table.

  Args:
    results: by model, of each seed {seed, subjects, parameters, windows,
      mae_bpm, rmse_bpm, ...}.
  """
  seeds = [result['seed'] for result in results[STUDENT]]
  one = results[STUDENT][0]
  headers = [
    f'float MAE, BPM, {one["subjects"]} test subjects, '
    f'{one["windows"]} windows',
    'parameters',
    *(f'seed {seed}' for seed in seeds),
    'mean',
    'standard deviation',
    'RMSE, mean',
  ]
  rows = []
  for name, runs in results.items():
    mae_bpm = [one['mae_bpm'] for one in runs]
    rows.append(
      [
        name,
        f'{runs[0]["parameters"]:,}',
        *(f'{value:.2f}' for value in mae_bpm),
        f'{statistics.mean(mae_bpm):.2f}',
        f'{statistics.stdev(mae_bpm):.2f}',
        f'{statistics.mean(one["rmse_bpm"] for one in runs):.2f}',
      ]
    )
  return markdown.table(headers, rows)


def verdict(results: Mapping[str, Sequence[Mapping]]) -> str:
  """Says in a line whether distillation helps.

  Seed by seed, as a student alone and a distilled one begin with the same
  weights: it helps, or harms, if the mean difference is more than two
  standard errors from 0.
  """
  differences = [
    distilled['mae_bpm'] - alone['mae_bpm']
    for alone, distilled in zip(
      results[STUDENT], results[DISTILLED], strict=True
    )
  ]
  mean = statistics.mean(differences)
  error = statistics.stdev(differences) / len(differences) ** 0.5
  if abs(mean) <= 2 * error:
    words = 'makes no difference beyond that between seeds'
  else:
    words = 'helps' if mean < 0 else 'harms'
  return (
    f'verdict: distillation {words}: distilled minus alone {mean:+.2f} BPM, '
    f'standard error {error:.2f}, {len(differences)} seeds'
  )
