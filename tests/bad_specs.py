"""Specs that are wrong, and what is said about each: data of `test_bad_input`.

A message is written without the name of the file, which is ``model.yaml``.
"""

from __future__ import annotations

CASES = [
    ("an empty text", "", "error: model.yaml is empty; a spec starts with 'model:'"),
    ("only a comment", "# nothing\n", "error: model.yaml is empty; a spec starts with 'model:'"),
    ("null", "null", "1:1: error: a spec must be a mapping, got nothing; start it with 'model:'"),
    ("a list at the top", "[1]", "1:1: error: a spec must be a mapping, got a list; start it with 'model:'"),
    (
        "a word at the top",
        "model",
        "1:1: error: a spec must be a mapping, got the string 'model'; start it with 'model:'",
    ),
    ("no model", "seed: 1", "1:1: error: the spec lacks 'model'; e.g. model: {Linear: [4, 3]}"),
    (
        "a model of nothing",
        "model:",
        "1:7: error: expected a module, got nothing; e.g. 'ReLU' or {Linear: [3, 1]}",
    ),
    (
        "a model that is a number",
        "model: 3",
        "1:8: error: expected a module, got 3; e.g. 'ReLU' or {Linear: [3, 1]}",
    ),
    (
        "an empty mapping for a module",
        "model: {}",
        "1:8: error: expected a module, got an empty mapping; e.g. 'ReLU' or {Linear: [3, 1]}",
    ),
    (
        "a list for a module",
        "model: [ReLU]",
        "1:8: error: expected a module, got a list; several modules go in a container, e.g. "
        "{Sequential: […]}",
    ),
    (
        "two keys for a module",
        "model:\n  Linear: [1, 1]\n  ReLU:\n",
        "2:3: error: expected a module, got a mapping of 2 keys; several modules are a list, with "
        "'-' before each",
    ),
    (
        "a module beside its key",
        "Sequential: []\nmodel: ReLU",
        "1:1: error: unknown key 'Sequential'; modules go below 'model:'",
    ),
    ("an unknown key", "modle: ReLU\nmodel: ReLU", "1:1: error: unknown key 'modle'; did you mean 'model'?"),
    (
        "a key that is no word",
        "1: 2\nmodel: ReLU",
        "1:1: error: unknown key '1'; use one of model, define, tie, dtype, seed, freeze, input, "
        "loss, init, expect",
    ),
    (
        "a mapping left open",
        "model: {Linear: [1, 1]",
        "1:8: error: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'",
    ),
    (
        "a mapping left open above",
        "model: {Linear: [1, 1]\nseed: 1\n",
        "2:1: error: not valid YAML: while parsing a flow mapping from line 1, did not find "
        "expected ',' or '}'",
    ),
    (
        "a string left open",
        'model: "Linear\n',
        "1:8: error: not valid YAML: while scanning a quoted scalar, found unexpected end of stream",
    ),
    (
        "indented too little",
        "model:\n  Sequential:\n   - Linear: [1, 1]\n  - ReLU\n",
        "4:3: error: not valid YAML: while parsing a block mapping from line 2, did not find expected key",
    ),
    (
        "a tab",
        "model:\n\tLinear: [1, 1]\n",
        "2:1: error: not valid YAML: found character that cannot start any token; indent with "
        "spaces, not with a tab",
    ),
    (
        "two colons",
        "model: Linear: [1, 1]\n",
        "1:14: error: not valid YAML: mapping values are not allowed in this context",
    ),
    (
        "a closing bracket too many",
        "model: {Linear: [1, 1]}}",
        "1:24: error: not valid YAML: while parsing a block mapping, did not find expected key",
    ),
    (
        "a character that YAML keeps for later",
        "model: @Linear",
        "1:8: error: not valid YAML: found character that cannot start any token",
    ),
    ("a duplicate key", "model: ReLU\nmodel: ReLU", "2:1: error: duplicate key 'model'"),
    (
        "a duplicate argument",
        "model: {Linear: {in_features: 1, in_features: 2, out_features: 3}}",
        "1:34: error: duplicate key 'in_features'",
    ),
    (
        "a merge key",
        "model: {Linear: {<<: {in_features: 1}, out_features: 3}}",
        "1:18: error: merge keys ('<<') are refused; write the keys out",
    ),
    ("a complex key", "? [a, b]\n: 1", "1:3: error: a key must be a single value"),
    ("an alias as a key", "seed: &a 1\n*a : 2\nmodel: ReLU", "2:1: error: a key cannot be an alias"),
    ("an unknown alias", "model: *a", "1:8: error: no anchor 'a' above"),
    ("a cyclic alias", "model: &a {Sequential: [*a]}", "1:25: error: alias '*a' is inside its own anchor"),
    (
        "a second document",
        "model: ReLU\n---\nmodel: ReLU\n",
        "2:1: error: a second document; a spec is one document",
    ),
    (
        "another version of YAML",
        "%YAML 3.7\n---\nmodel: ReLU\n",
        "1:1: error: not valid YAML: found incompatible YAML document",
    ),
    (
        "an unknown directive",
        "%FOO bar\n---\nmodel: ReLU\n",
        "1:5: error: not valid YAML: while scanning a directive, found unknown directive name",
    ),
    (
        "a tag that would run code",
        "model: !!python/object/apply:os.system [id]",
        "1:8: error: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is refused; a spec "
        "is plain data",
    ),
    (
        "a tag of the file's own",
        "%TAG ! tag:example.org,2000:\n---\nmodel: !layer ReLU\n",
        "3:8: error: the tag 'tag:example.org,2000:layer' is refused; a spec is plain data",
    ),
    (
        "a core tag",
        "model: {Linear: [1, 1, !!bool x]}",
        "1:24: error: the tag 'tag:yaml.org,2002:bool' is refused; a spec is plain data",
    ),
    (
        "a lone surrogate escape",
        'model: "\\ud800"',
        "1:11: error: not valid YAML: while parsing a quoted scalar, found invalid Unicode "
        "character escape code",
    ),
    (
        "an escape past Unicode",
        'model: "\\Uffffffff"',
        "1:11: error: not valid YAML: while parsing a quoted scalar, found invalid Unicode "
        "character escape code",
    ),
    (
        "an unknown escape",
        'model: "\\q"',
        "1:9: error: not valid YAML: while parsing a quoted scalar, found unknown escape character",
    ),
    ("a NUL", "model: \x00", "1:8: error: the character U+0000 is not allowed in YAML; is this a text file?"),
    (
        "a bell",
        "model:\x07 ReLU",
        "1:7: error: the character U+0007 is not allowed in YAML; is this a text file?",
    ),
    (
        "a byte order mark in the middle",
        "model: \ufeffReLU",
        "1:8: error: the character U+FEFF is not allowed in YAML; is this a text file?",
    ),
    (
        "a lone surrogate",
        "model: \udcff",
        "1:8: error: the character U+DCFF is not allowed in YAML; is this a text file?",
    ),
    (
        "an integer of 10,000 digits",
        f"model: {{Linear: [{'9' * 10_000}, 1]}}",
        "1:18: error: a number of 10,000 characters; at most 100",
    ),
    (
        "an integer past 64 bits",
        "model: {Linear: [9223372036854775808, 1]}",
        "1:18: error: the integer 9223372036854775808 does not fit in 64 bits",
    ),
    (
        "a date",
        "model: {Linear: [2024-13-45, 1]}",
        "1:18: error: 'in_features' of Linear must be an int, got the string '2024-13-45'",
    ),
    (
        "an empty binary number",
        "model: {Linear: [0b_, 1]}",
        "1:18: error: 'in_features' of Linear must be an int, got the string '0b_'",
    ),
    (
        "a sexagesimal number",
        "model: {Linear: [1:30, 1]}",
        "1:18: error: 'in_features' of Linear must be an int, got the string '1:30'",
    ),
    (
        "YAML 1.1's no",
        "model: {Linear: [1, 1, no]}",
        "1:24: error: 'bias' of Linear must be true or false, got the string 'no'; write true or false",
    ),
    (
        "an unknown module",
        "model: {Liner: [1, 1]}",
        "1:9: error: unknown module 'Liner'; did you mean 'Linear'?",
    ),
    ("an unknown module like none", "model: Foo", "1:8: error: unknown module 'Foo'"),
    (
        "a huge name",
        f"model: {'k' * 1000}",
        "1:8: error: unknown module 'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…'",
    ),
    (
        "an unknown argument",
        "model: {Linear: {in_features: 1, out_features: 2, bais: true}}",
        "1:51: error: Linear has no argument 'bais'; did you mean 'bias'?",
    ),
    (
        "an unknown argument like none",
        "model: {ReLU: {size: 1}}",
        "1:16: error: ReLU has no argument 'size'; it is ReLU(inplace: bool = False)",
    ),
    (
        "a missing argument",
        "model: {Linear: [1]}",
        "1:9: error: Linear lacks 'out_features'; it is Linear(in_features: int, out_features: int, "
        "bias: bool = True, *, dtype: dtype | None = None)",
    ),
    (
        "a misspelt argument is not missing as well",
        "model: {Linear: {in_featurs: 4, out_features: 3}}",
        "1:18: error: Linear has no argument 'in_featurs'; did you mean 'in_features'?",
    ),
    (
        "no arguments",
        "model: Linear",
        "1:8: error: Linear lacks 'in_features' and 'out_features'; it is Linear(in_features: int, "
        "out_features: int, bias: bool = True, *, dtype: dtype | None = None)",
    ),
    (
        "a string for a number",
        "model: {Linear: [a, 1]}",
        "1:18: error: 'in_features' of Linear must be an int, got the string 'a'",
    ),
    (
        "a fraction for a size",
        "model: {Linear: {in_features: 1.5, out_features: 2}}",
        "1:31: error: 'in_features' of Linear must be an int, got 1.5",
    ),
    (
        "too many arguments",
        "model: {Linear: [1, 1, true, 3, 4, 5]}",
        "1:30: error: Linear takes at most 3 arguments by position, got 6; it is "
        "Linear(in_features: int, out_features: int, bias: bool = True, *, dtype: dtype | None = "
        "None)",
    ),
    (
        "a module for a number",
        "model: {Linear: [{ReLU: }, 1]}",
        "1:18: error: 'in_features' of Linear must be an int, got a mapping",
    ),
    (
        "a word for a choice",
        "model: {RNN: {input_size: 1, hidden_size: 1, nonlinearity: tan}}",
        "1:60: error: 'nonlinearity' of RNN must be 'tanh' or 'relu', got the string 'tan'; did you "
        "mean 'tanh'?",
    ),
    (
        "a tensor for a module",
        "model: {Parameter: [3]}",
        "1:9: error: Parameter is a tensor, not a module; put it in a Module, as a named member",
    ),
    (
        "a module among parameters",
        "model: {ParameterList: [ReLU]}",
        "1:25: error: ParameterList holds tensors, not modules; e.g. {Parameter: [3, 4]}",
    ),
    (
        "a name that torch refuses",
        'model: {Module: {"": ReLU, a.b: ReLU}}',
        "1:18: error: torch refuses the name ''; it must not be empty or contain a dot\n"
        "1:28: error: torch refuses the name 'a.b'; it must not be empty or contain a dot",
    ),
    (
        "a mapping for a ModuleList",
        "model: {ModuleList: {a: ReLU}}",
        "1:21: error: ModuleList takes a list, got a mapping; write '-' before each",
    ),
    (
        "a list for a ModuleDict",
        "model: {ModuleDict: [ReLU]}",
        "1:21: error: ModuleDict takes a mapping of names to nodes, got a list; e.g. {head: {Linear: …}}",
    ),
    (
        "arguments for names",
        "model: {Sequential: {ReLU: , Linear: [1, 1]}}",
        "1:28: error: expected a module for 'ReLU', got nothing; write modules without names as a list, "
        "with '-' before each\n"
        "1:38: error: expected a module for 'Linear', got a list; write modules without names as a list, "
        "with '-' before each",
    ),
    (
        "Repeat without arguments",
        "model: Repeat",
        "1:8: error: Repeat lacks 'times' and 'module'; e.g. {times: 3, module: …}",
    ),
    (
        "Repeat less than nothing",
        "model: {Repeat: {times: -1, module: ReLU}}",
        "1:25: error: 'times' of Repeat must be an int of 0 or more, got -1",
    ),
    (
        "Repeat a billion times",
        "model: {Repeat: {times: 1000000000, module: {Linear: [1, 1]}}}",
        "1:9: error: this makes 1,000,000,001 modules; at most 131,072",
    ),
    (
        "Repeat of Repeat of Repeat",
        "model: {Repeat: {times: 1000, module: {Repeat: {times: 1000, module: ReLU}}}}",
        "1:9: error: this makes 1,001,001 modules; at most 131,072",
    ),
    (
        "Residual of nothing",
        "model: Residual",
        "1:8: error: Residual lacks its module; e.g. {Residual: {Linear: [4, 4]}}",
    ),
    (
        "an encoder of a billion layers",
        "model: {TransformerEncoder: [{TransformerEncoderLayer: [8, 2]}, 1000000000]}",
        "1:9: error: this makes 13,000,000,000 modules; at most 131,072",
    ),
    (
        "an LSTM of a billion layers",
        "model: {LSTM: [1, 1, 1000000000]}",
        "1:9: error: 1,000,000,000 layers in one LSTM; at most 1,000",
    ),
    (
        "a define that uses itself",
        "define: {a: a}\nmodel: a",
        "1:13: error: the define 'a' uses itself (a → a)",
    ),
    (
        "two defines that use each other",
        "define: {a: {Residual: b}, b: {Residual: a}}\nmodel: a",
        "1:42: error: the define 'a' uses itself (a → b → a)",
    ),
    (
        "a define of a torch name",
        "define: {Linear: ReLU}\nmodel: Linear",
        "1:10: error: 'Linear' is already a name in torch.nn or the language; choose another name",
    ),
    (
        "a list of defines",
        "define: [a]\nmodel: ReLU",
        "1:9: error: 'define' must be a mapping of names to modules, got a list",
    ),
    (
        "arguments for a define",
        "define: {a: ReLU}\nmodel: {a: [1]}",
        "2:12: error: 'a' is a define and takes no arguments",
    ),
    (
        "a define of nothing",
        "define: {a: }\nmodel: a",
        "1:13: error: expected a module, got nothing; e.g. 'ReLU' or {Linear: [3, 1]}",
    ),
    (
        "an alias for a define",
        "define: {a: &x ReLU, b: *x}\nmodel: b",
        "1:22: error: the define 'b' is a recipe, and an alias is one module",
    ),
    (
        "an alias of what Repeat copies",
        "model: {Sequential: [{Repeat: {times: 2, module: &a ReLU}}, *a]}",
        "1:50: error: the anchor 'a' is inside a recipe, and every copy has its own; an alias "
        "outside cannot name one",
    ),
    (
        "Repeat of an alias",
        "model: {Sequential: [&a ReLU, {Repeat: {times: 2, module: *a}}]}",
        "1:51: error: Repeat makes independent copies, and an alias is one module; list the alias "
        "as often as needed, or define a name",
    ),
    (
        "an alias of what is in a define",
        "define: {b: {Sequential: [&a ReLU]}}\nmodel: {Sequential: [b, *a]}",
        "1:27: error: the anchor 'a' is inside a recipe, and every copy has its own; an alias "
        "outside cannot name one",
    ),
    (
        "an alias of a tensor for a module",
        "model: {Module: {a: &t {Parameter: 3}, b: {Sequential: [*t]}}}",
        "1:21: error: '*t' is a tensor, but a module is expected here",
    ),
    (
        "tie as a list",
        "tie: [a]\nmodel: ReLU",
        "1:6: error: 'tie' must be a mapping of names, got a list; e.g. {head.weight: embed.weight}",
    ),
    (
        "a tie to nothing",
        "tie: {a: }\nmodel: ReLU",
        "1:10: error: the name of a parameter must be a string, got nothing",
    ),
    (
        "freeze by no expression",
        'freeze: "("\nmodel: ReLU',
        "1:9: error: '(' is not a regular expression: missing ), unterminated subpattern at "
        "position 0; escape special characters, e.g. '\\['",
    ),
    (
        "freeze by no word",
        "freeze: {a: b}\nmodel: ReLU",
        "1:9: error: a pattern must be a string, got a mapping",
    ),
    (
        "freeze by an endless expression",
        f"freeze: {'a?' * 1000}\nmodel: ReLU",
        "1:9: error: a pattern of 2,000 characters; at most 1,000",
    ),
    ("a negative seed", "seed: -1\nmodel: ReLU", "1:7: error: 'seed' must be an int of 0 or more, got -1"),
    (
        "an unknown dtype",
        "dtype: float31\nmodel: ReLU",
        "1:8: error: 'dtype' must be one of bfloat16, float16, float32, float64, got the string "
        "'float31'; did you mean 'float32'?",
    ),
    (
        "an integer dtype",
        "dtype: int8\nmodel: ReLU",
        "1:8: error: 'dtype' must be one of bfloat16, float16, float32, float64, got the string 'int8'",
    ),
    ("an unknown loss", "loss: sm\nmodel: ReLU", "1:7: error: unknown loss 'sm'; did you mean 'sum'?"),
    (
        "an input of no shape",
        "input: word\nmodel: ReLU",
        "1:8: error: a shape must be a list of sizes, got the string 'word'; e.g. [3, 4]",
    ),
    (
        "an input of negative size",
        "input: {shape: [-1]}\nmodel: ReLU",
        "1:17: error: a shape must be a list of sizes, got -1; e.g. [3, 4]",
    ),
    (
        "an input of 2^64 elements",
        "input: [4294967296, 4294967296]\nmodel: ReLU",
        "1:8: error: a shape with more than 2^63 elements",
    ),
    (
        "an input of 65 dimensions",
        f"input: [{'1, ' * 64}1]\nmodel: ReLU",
        "1:8: error: a shape with 65 dimensions; at most 64",
    ),
    (
        "an unknown fill",
        "input: {shape: 3, fill: rnd}\nmodel: ReLU",
        "1:25: error: 'fill' must be a number or one of zeros, ones, rand, randn, arange, randint, got "
        "the string 'rnd'; did you mean 'rand'?",
    ),
    (
        "an unknown key of a tensor",
        "input: {shape: 3, fil: zeros}\nmodel: ReLU",
        "1:19: error: input has no key 'fil'; did you mean 'fill'?",
    ),
    (
        "values of two lengths",
        "input: {values: [[1, 2], [3]]}\nmodel: ReLU",
        "1:17: error: the lists in 'values' differ in length",
    ),
    (
        "randint without an end",
        "input: {shape: 3, fill: randint}\nmodel: ReLU",
        "1:8: error: randint needs 'high' above 'low'; integers are drawn from low (default 0) up to but not "
        "including high",
    ),
    (
        "init as a word",
        "init: zeros\nmodel: ReLU",
        "1:7: error: rules must be a list, got the string 'zeros'; e.g. [{pattern: weight, zeros: }]",
    ),
    (
        "a rule that is a word",
        "init: [zeros]\nmodel: ReLU",
        "1:8: error: a rule must be a mapping, got the string 'zeros'; e.g. {pattern: weight, normal: "
        "{std: 0.01}}",
    ),
    (
        "a rule without an initializer",
        "init: [{pattern: weight}]\nmodel: ReLU",
        "1:8: error: a rule needs an initializer, but this one has none; e.g. {pattern: weight, normal: "
        "{std: 0.01}}",
    ),
    (
        "a rule with two",
        "init: [{zeros: , ones: }]\nmodel: ReLU",
        "1:18: error: a rule takes one initializer, but this one has 'zeros' and 'ones';"
        " write one rule for each",
    ),
    (
        "a misspelt selector",
        "init: [{patern: weight, zeros: }]\nmodel: ReLU",
        "1:9: error: a rule has no key 'patern'; did you mean 'pattern'?",
    ),
    (
        "an unknown initializer",
        "init: [{nrmal: {std: 1}}]\nmodel: ReLU",
        "1:9: error: unknown initializer 'nrmal'; did you mean 'normal'?",
    ),
    (
        "a wrong option of an initializer",
        "init: [{normal: {st: 1}}]\nmodel: ReLU",
        "1:18: error: normal has no argument 'st'; did you mean 'std'?",
    ),
    (
        "a rule by no expression",
        'init: [{pattern: "*", zeros: }]\nmodel: ReLU',
        "1:18: error: '*' is not a regular expression: nothing to repeat at position 0; a pattern "
        "is a regular expression; did you mean '.'?",
    ),
    (
        "an unknown expectation",
        "expect: {parmeters: 3}\nmodel: ReLU",
        "1:10: error: unknown expectation 'parmeters'; did you mean 'parameters'?",
    ),
    (
        "an expectation of no quantity",
        "expect: {parameters: many}\nmodel: ReLU",
        "1:22: error: 'parameters' of expect must be a count, got the string 'many'; e.g. 124M",
    ),
    (
        "shared names without lists of them",
        "expect: {shared: [a, b]}\nmodel: ReLU",
        "1:18: error: 'shared' of expect must be [[name]], got a list",
    ),
    (
        "a shared name alone",
        "expect: {shared: [[a, b], [c]]}\nmodel: ReLU",
        "1:27: error: 'shared' takes two or more different names, got c; e.g. shared: [[a.weight, b.weight]]",
    ),
    (
        "a name distinct from itself",
        "expect: {distinct: [[a, b, a]]}\nmodel: ReLU",
        "1:21: error: 'distinct' takes two or more different names, got a, b, a; e.g. distinct: "
        "[[a.weight, b.weight]]",
    ),
    (
        "an unknown bound",
        "expect: {parameters: {most: 3}}\nmodel: ReLU",
        "1:23: error: 'parameters' has no bound 'most'; use min or max",
    ),
]
