"""Validates the live OpenAPI document as OpenAPI 3.1."""

import json
import sys
import urllib.request

from openapi_spec_validator import OpenAPIV31SpecValidator

with urllib.request.urlopen(f"{sys.argv[1]}/openapi.json") as answer:
    document = json.load(answer)
assert document["openapi"].startswith("3.1"), document["openapi"]
errors = list(OpenAPIV31SpecValidator(document).iter_errors())
for error in errors[:20]:
    print(f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}", file=sys.stderr)
assert not errors, f"{len(errors)} errors"
print(f"valid OpenAPI {document['openapi']}: {len(document['paths'])} paths")
