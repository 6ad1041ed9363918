"""Run a model forward without values, and add up what it computes and keeps.

module, inputs
▼
measurement       the operation: checks, runs both passes, reports
├─ passes         one pass in evaluation mode, one in training mode
│     attention       … the kernel that the CPU would choose, and its operations
│     ledger          … what each module adds, by its path
│     live_memory     … what is alive at once
└─ optimizers     what each keeps for a parameter
▼
cost_rows         a row for each module
"""
