"""The terminal's two ends: options in; a model, an operation, a renderer and an exit status out.

main            the process: one handler of errors, the exit statuses
command_group   the commands by name; only the one that is typed is imported
words           a first word that is not a command: a MODEL to inspect, or another word for one
command         how a command prints its help
plain_values    what is typed, converted without pydantic
commands/       one file each: options in, a function of `api`, a renderer
model_argument  MODEL, --set, --arg, --seed, --pattern, --recipe
options         options that several commands share
rule_options    --pattern … --normal …: rules, in the order typed
output_options  --output and what goes with it
several_models  inspect A B C: a line for each
reference       the model that check --same-as compares with
typed_line      the line that was typed, and the one to type instead: hints are lines that work
usage, rule_hints  … for what Typer refuses, and for rules that nearly work
error_fold      errors that repeat for every block, told once
expectation_options, completion, progress
console         stdout for the result, stderr for the rest
"""
