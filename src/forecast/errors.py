"""Every error that is raised on purpose.

    ForecastError
    ├── InputError            what was given can't be used: the caller can mend it
    │   ├── FileError         a file can't be read at all
    │   ├── MappingError      a mapping names what does not exist
    │   └── RefusedValueError one value is not what its field holds
    ├── NotFoundError         a record, version or file that was asked for is not there
    ├── ConflictError         what is asked contradicts what is stored
    ├── AccessError           no key, a wrong key or a withdrawn key
    ├── TooLittleHistoryError not enough is known to answer honestly
    ├── GateError             a version did not pass its gates
    └── StoreError            the database can't be reached or is not at this program's schema

Each says what was found, what was expected and what to do.
"""


class ForecastError(Exception):
    """Base of the tree; never raised itself."""


class InputError(ForecastError):
    """What was given can't be used as it is."""


class FileError(InputError):
    """A file can't be read at all."""


class MappingError(InputError):
    """A mapping names a field or a column that does not exist."""


class RefusedValueError(InputError):
    """One value is not what its field holds.

    Attributes:
        value: the text as found.
        reason: what is wrong with it.
        remedy: what to write instead.
    """

    def __init__(self, value: str, reason: str, remedy: str) -> None:
        super().__init__(f'"{value}" {reason}; {remedy}')
        self.value = value
        self.reason = reason
        self.remedy = remedy


class NotFoundError(ForecastError):
    """What was asked for is not there."""


class ConflictError(ForecastError):
    """What is asked contradicts what is stored."""


class AccessError(ForecastError):
    """No key, a wrong key or a withdrawn key."""


class TooLittleHistoryError(ForecastError):
    """Not enough is known to answer honestly."""


class GateError(ForecastError):
    """A version did not pass its gates."""


class StoreError(ForecastError):
    """The database can't be reached or is not at this program's schema."""
