"""From passes to a fitted mixture.

`fit` goes from a source to the best fit of one mixture, by `multistart`: a `survey` (pass 0),
``starts``, and a ``loop`` of ``steps``. ``sweep`` does the same for many mixtures at once.
`diagnostics` finds what is wrong with a fitted mixture.
"""
