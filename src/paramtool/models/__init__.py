"""What MODEL may be, and the opened model that answers for itself.

    name ──▶ default ──▶ open ◀── form          given: what a Python user passes
                          │                       │
                          ▼                       ▼
    model: Model, the questions that every kind answers or refuses
      ├── checkpoint  snapshot  state           read: no module, no forward
      ├── folder  python_file                   several checkpoints or modules, of which one must be named
      └── built: BuiltModel                     what becomes a live module answers by it
            ├── spec  python_object  module
            └── initialized  weights  part      … with rules run, a checkpoint loaded, a wrapper taken off

`variants` are what a model can be turned into: with weights, inputs or a seed, or its rules run.
`listing`, `layout`, `elements` and `network` are the four questions; everything else asks these.
Torch comes in through `torch_import`, when a question needs it.
"""
