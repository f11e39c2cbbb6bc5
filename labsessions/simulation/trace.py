"""What happened in a run: a hash of all of it, which tells whether two runs were the same, and the tail for people."""

import hashlib
from collections import deque
from typing import Final

TAIL: Final = 60  # events: what happened since the session in question was touched last, as a rule


class BrokenError(Exception):
    """An invariant doesn't hold: its number (see `invariants`) and what was seen."""

    def __init__(self, invariant: int, text: str) -> None:
        super().__init__(f"invariant {invariant}: {text}")
        self.invariant = invariant
        self.text = text


class ViolationError(Exception):
    """A run in which an invariant was broken, with all that is needed to see it again."""

    def __init__(self, *, seed: int, steps: int, step: int, broken: BrokenError, tail: tuple[str, ...]) -> None:
        self.seed, self.steps, self.step = seed, steps, step
        self.invariant, self.text, self.tail = broken.invariant, broken.text, tail
        super().__init__(
            "\n".join(
                (
                    *tail,
                    f"seed {seed}, step {step}: {broken}",
                    f"again: python run.py simulate --seed {seed} --steps {steps}",
                )
            )
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Exceptions with named arguments don't cross processes by themselves."""
        return _violation, (self.seed, self.steps, self.step, self.invariant, self.text, self.tail)


def _violation(seed: int, steps: int, step: int, invariant: int, text: str, tail: tuple[str, ...]) -> ViolationError:
    return ViolationError(seed=seed, steps=steps, step=step, broken=BrokenError(invariant, text), tail=tail)


class Trace:
    """Events in order: milliseconds of virtual time, a word, and details that are numbers or text."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._tail: deque[tuple[object, ...]] = deque(maxlen=TAIL)

    def note(self, *event: object) -> None:
        """Add an event."""
        self._hash.update(repr(event).encode())
        self._tail.append(event)

    def digest(self) -> str:
        """The hash of all events so far, in hexadecimal."""
        return self._hash.hexdigest()

    def tail(self) -> tuple[str, ...]:
        """The last events, a line each."""
        return tuple(" ".join(map(str, event)) for event in self._tail)
