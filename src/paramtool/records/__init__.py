"""Frozen records in one Report: what every operation returns and every renderer takes.

report              rows, totals, and the columns that were asked for
column              what a field is as a column, on the field itself
  parameter         rows of `inspect`; `totals` adds them up
  contents          rows of `inspect --contents`, and the origin of a listing
  checkpoints       rows of a folder with several checkpoints
  initialization    rows of `init`
  conversion        rows of `convert`
  sharing           rows of `shared`
  gradient          rows of `grad`
  difference        rows of `diff`
  expectation       rows of `check`, and what is expected
  initializer       rows of `initializers`
rule                one rule, wherever it was written
constructor         a quick one, for records of which there are many
moments             mean and std of several parts together
layout, extent      where tensors are in memory, and the bytes they cover
"""
