"""Where in its caller's request an error says that a row stands.

Task code reads a request that runs in parts one part at a time and counts rows from the part's first. Its errors begin
with the place, `texts[3]: …`, `rows[3].age: …` or `input 'x': row 3, …`, and name it in their field; here the number
becomes the caller's. Nothing else of an error is touched.
"""

import re
from dataclasses import replace

from services.runtime.errors import ServingError

_PLACE = re.compile(r"^((?:input '.*?': )?(?:\w+\[|row ))(\d+)")


def in_request(error: ServingError, first_row: int) -> ServingError:
    """A copy of the error, without the frames that it came through, for a caller whose part begins at `first_row`."""

    def moved(text: str) -> str:
        return _PLACE.sub(lambda place: f"{place[1]}{int(place[2]) + first_row}", text)

    if not first_row:
        return replace(error)
    return replace(error, message=moved(error.message), field=moved(error.field))
