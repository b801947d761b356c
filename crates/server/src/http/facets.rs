//! Facets as a document.

use pipeline::format::Format;
use pipeline::{Error, FacetsFound};
use serde_json::json;

/// The document of what was found: [`FacetsDto`](super::dto::FacetsDto).
pub(super) fn document(found: &FacetsFound, max_bytes: usize) -> Result<Vec<u8>, Error> {
    let mut out = format!(r#"{{"rows":{},"facets":["#, found.rows).into_bytes();
    for (at, facet) in found.facets.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let (column, distinct, nulls) = (json!(facet.column), facet.distinct, facet.nulls);
        out.extend_from_slice(
            format!(r#"{{"column":{column},"distinct":{distinct},"nulls":{nulls},"values":"#).as_bytes(),
        );
        // The rows are objects with the members `value` and `count` already.
        out.extend_from_slice(&Format::Json.encode(&facet.values.schema, &facet.values.batches, max_bytes)?);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}
