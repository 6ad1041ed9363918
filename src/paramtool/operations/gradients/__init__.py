"""Run forward and backward, and split each gradient into what each use of a parameter added.

    module, inputs
        ▼
    backpropagation   the operation: checks, runs, reports
        ├─ isolation        leaves the model and the process as they were
        │     attributes      … what Python keeps: attributes, hooks, flags
        │     copy_on_write   … the memory, copied before the first write
        ├─ passes           forward, loss and backward, `steps` times
        │     calls           … which module is running
        │     views           … a fresh view of the parameter for each operation: a use
        │     uses, graph     … the uses of one pass, and those that only the graph shows
        │     losses          … one number from the outputs
        │     layers          … the spread of each module's output
        │     refusals        … where a pass failed, and what to do about it
        │     fold            … those of a large parameter, measured and let go during the pass
        └─ splits           the uses of all passes, and that their sum is the gradient
        ▼
    parameter_rows    a row for each parameter and each use; measure, products and magnitude have the numbers

`views` and `copy_on_write` are torch function modes; `function_mode` lets them see inside torch's own
functions that are written in Python.
"""
