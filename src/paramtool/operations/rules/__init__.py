"""What rules will do to which tensors, without torch: matched, refused and noted by names, shapes and dtypes.

step             one rule on one tensor
target           one tensor that rules act on, and what there is to say about it
plan             from rules and targets to steps, with every complaint
shared_memory    which targets change with a fill of another
outline          the targets of a spec, from the table of torch.nn; live ones are in `initialization`
sure_block       stands for a block of a tensor where nothing is filled
rows             the records of a plan
"""
