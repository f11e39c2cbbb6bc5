"""What may go wrong, as one tree.

ActorError
├── ActivationError      an actor's cell could not be loaded or understood; its mail is refused, its alarm backs off
├── CommitError          a write did not become durable; the caller knows, the actor starts again from its cell
├── StoppedError         the runtime is shutting down
├── BlockingCallError    somebody tried to block the event loop on a future
├── QuestionRefusedError an operator's question would take too long, or too many wait
├── UnansweredWakeUpError  a bug in an actor: a wake-up that armed or cleared nothing would be due for ever
└── StoreError           the data directory or the database
    ├── StoreUnavailableError a full disk, a locked file: nobody's write would go through now
    ├── DirectoryInUseError   another process holds the data directory
    └── SchemaTooNewError     the file was written by a newer release
"""


class ActorError(Exception):
    """Base of all errors of the runtime."""


class ActivationError(ActorError):
    """An actor's cell could not be loaded or understood."""


class CommitError(ActorError):
    """A write did not become durable, and nothing of it is visible."""


class StoppedError(ActorError):
    """The runtime is shutting down and takes no new messages."""


class BlockingCallError(ActorError):
    """`Future.get` would block the event loop; await the future instead."""


class UnansweredWakeUpError(ActorError):
    """An actor took a wake-up without writing its alarm; the alarm would stay due for ever."""


class QuestionRefusedError(ActorError):
    """A question about the store is not answered now; the text says what to do."""


class StoreError(ActorError):
    """The data directory or the database cannot be used as it is."""


class StoreUnavailableError(StoreError):
    """The medium takes no write at the moment, whoever's it is: a full disk, a file locked by another program."""


class DirectoryInUseError(StoreError):
    """Another process holds the data directory."""


class SchemaTooNewError(StoreError):
    """The database was written by a newer release."""
