"""A training of which nothing can be saved here: it may stand still, and that is all."""

from typing import Any, NoReturn

from gpurun.sdk.subject import Subject


class Bare(Subject):
    """Answers every question with its obstacle."""

    kind = ""

    def __init__(self, obstacle: str) -> None:
        self._obstacle = obstacle

    def obstacle(self) -> str:
        """Why nothing can be saved."""
        return self._obstacle

    def held(self) -> dict[str, Any]:
        """Nothing that is known of."""
        return {}

    def encoder(self, copied: object) -> NoReturn:
        """Never asked for: it does not offer to park or to exit."""
        raise NotImplementedError(self._obstacle)

    def encoded(self, encoder: object) -> NoReturn:
        """Never asked for."""
        raise NotImplementedError(self._obstacle)

    def put_back(self, nodes: object) -> NoReturn:
        """Never asked for."""
        raise NotImplementedError(self._obstacle)
