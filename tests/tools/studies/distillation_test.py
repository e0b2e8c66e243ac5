"""The verdict on distillation, and its table."""

from tools.studies import distillation


def _results(*mae_bpm):
  common = {'subjects': 7, 'windows': 71, 'parameters': 16_309, 'rmse_bpm': 1.0}
  return {
    name: [
      {'seed': seed, 'mae_bpm': one, **common}
      for seed, one in enumerate(runs, 1)
    ]
    for name, runs in zip(
      (
        distillation.STUDENT,
        distillation.TEACHER,
        distillation.DISTILLED,
      ),
      mae_bpm,
      strict=True,
    )
  }


def test_the_verdict_counts_what_is_more_than_the_spread():
  alone, taught_by = (1.0, 1.2, 1.4), (0.9, 0.9, 0.9)
  for distilled, said in (
    ((0.8, 1.0, 1.3), 'helps: distilled minus alone -0.17'),
    ((1.2, 1.4, 1.7), 'harms'),
    ((0.7, 1.6, 1.3), 'makes no difference'),
  ):
    results = _results(alone, taught_by, distilled)
    assert said in distillation.verdict(results)
  table = distillation.table(results).splitlines()
  cells = [cell.strip() for cell in table[2].strip('|').split('|')]
  numbers = ['16,309', '1.00', '1.20', '1.40', '1.20', '0.20']
  assert cells[:-1] == ['student alone', *numbers]
  assert len({line.count('|') for line in table}) == 1
