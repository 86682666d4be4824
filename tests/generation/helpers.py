"""Project files for the tests of `fivefold generate`."""

PARAMS = """
seed: 0
training: {max_epochs: 1, batch_size: 16, optimizer: {name: adam, lr: 1e-3}}
datasets:
  verse:
    kind: text
    source: abc.txt
    task: language_modeling
    tokenizer: character
    max_length: 8
    split: {validation: 5, test: 5, by: time}
models:
  poet:
    dataset: verse
    depends_on: none
    select: {method: none}
    network: {family: rnn, hidden: [16], embedding_dim: 8}
    training: {}
"""
