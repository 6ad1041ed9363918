"""One Report in, text out: for people, for programs and for CI.

formats             every format by its name; folds a report
  table             sections, into a file or on a terminal
    layout          lines and colours; `fit` chooses the columns that a width has room for, and
                    `breaks` says where names and texts go on in the next line
  tree              the names as branches; `leaves` say of each row, `subtotals` of all below a branch
  markdown          sections, for a pull request
  machine           json, jsonl, csv, tsv
  github, junit     what is wrong, for CI
  html/             a page for a browser, and what a notebook shows
  explanation       one initializer, in full
section, cells      the columns of a table, its cells, and one cell as text
elements            tensors as torch prints them
summary             the totals in sentences; `difference_text` has those of a diff
blocks, fold        ``h.0`` … ``h.11`` as one row, by a `module_tree`; `difference_fold` does so for a diff
bars                block characters
names, screen       a name that is harmless where it is shown, and what it is shown on; `tones` are colours
"""
