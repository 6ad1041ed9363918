"""What MODEL may be, and the opened model that answers for itself.

    name ──▶ default ──▶ open ◀── form          given: what a Python user passes
                          │                       │
                          ▼                       ▼
    model: Model, the questions that every kind answers or refuses
      ├── checkpoint  snapshot  state           read: no module, no forward
      ├── folder                                several checkpoints, of which one must be named
      └── built: BuiltModel                     what becomes a live module answers by it
            ├── spec  python_object  module
            └── Initialized, weights            … with rules run or a checkpoint loaded

`listing`, `layout`, `elements` and `network` are the four questions; everything else asks these.
Torch comes in through `torch_import`, where a question needs it.
"""
