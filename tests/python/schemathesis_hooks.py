"""What is checked beyond what schemathesis knows: that its one exclusion is not wider than it says."""

import json
import re

import schemathesis

QUESTIONS = re.compile(r"/api/v1/datasets/[^/]+/(rows|facets|query)")
# These are described in full: data that fits the document is never refused for one of them.
DESCRIBED = {"distinct", "limit", "offset", "format", "explain", "count", "Prefer", "If-None-Match", "strict"}


@schemathesis.check
def refused_for_what_no_schema_tells(ctx, response, case):
    """Questions that fit the document are refused only for a value that the document cannot describe."""
    if response.status_code != 400 or not case.meta.generation.mode.is_positive:
        return
    if not QUESTIONS.fullmatch(case.operation.path):
        return
    problem = json.loads(response.content)
    assert "hint" in problem, f"no hint: {problem}"
    # A dashboard's filter is named by its column alone, and a column may have any name.
    filters = case.body.get("filters") if isinstance(case.body, dict) else None
    if problem.get("parameter") not in (filters or {}):
        assert problem.get("parameter") not in DESCRIBED, f"refused for what the document describes: {problem}"
