"""Tables of Markdown: known answers."""

from tools import markdown


def test_columns_are_aligned():
  table = markdown.table(['', 'MAE, BPM'], [['POS', '2.81'], ['model', '0.7']])
  assert table.splitlines() == [
    '|       | MAE, BPM |',
    '| ----- | -------: |',
    '| POS   |     2.81 |',
    '| model |      0.7 |',
  ]


def test_a_table_without_a_row_has_its_header():
  assert markdown.table(['a', 'b'], []) == '| a   |   b |\n| --- | --: |'
