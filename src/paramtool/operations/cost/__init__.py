"""Run a model forward without values, and add up what it computes and keeps.

module, inputs
▼
measurement       the operation: checks, runs both passes, reports
├─ passes         one pass in evaluation mode, one in training mode
│     attention       … the kernel that the CPU would choose, and its formula
│     operation_count … floating-point operations, by torch's formulas
│     ledger          … calls, shapes and saved tensors, by the path of the module
│     live_memory     … what is alive at once
└─ optimizers     what each keeps for a parameter
▼
cost_rows         a row for each module
"""
