"""Errors that a person reads: one sentence that says what is wrong and the way out."""


class UserError(ValueError):
    """Something the user can mend. `str(error)` is one sentence and may be shown as it is."""


class NotAvailable(UserError):
    """A model, file or device that is needed is not here."""
